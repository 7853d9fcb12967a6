"""The page: layout, handlers, rendering. Knows the model only as a ``ChatBackend``."""

from ui.page import build_ui
from ui.settings import Example, PageSettings, read_examples

__all__ = ["Example", "PageSettings", "build_ui", "read_examples"]
