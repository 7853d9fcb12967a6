"""The chat: what is asked, what was said, and what is kept of it."""
