"""Pages of a browser: CSS kits rendered by Chromium, everything on them measured in the page.

``pages`` writes a page (templates of common kinds of page, a kit's classes, drawn phrases) ->
``browser`` renders it and measures what is visible -> a ``Screen``, like those that are drawn.
``python -m training.web`` writes many of them as a folder in ScreenSpot's layout.
"""
