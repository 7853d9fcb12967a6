"""Parts of screens: texts, controls, fields, lists, data and pictures."""
