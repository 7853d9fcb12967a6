"""Targets as lines of automation code: pyautogui, Playwright, adb.

Text of a model is only ever put into code as a quoted string.
"""

from __future__ import annotations

import shlex

from ui.targets.target import DIRECTIONS, Place, Target

Size = tuple[int, int]  # width and height in pixels of the original image

# of the side of the screen: how far a finger goes to scroll
_SWIPE_SHARE = 0.25
_SWIPE_MS = 300
_DRAG_MS = 800
_LONG_PRESS_MS = 1000
_DRAG_S = 0.5
_WHEEL_NOTCH_PX = 100

_PYAUTOGUI = {
    "double_click": "doubleClick",
    "right_click": "rightClick",
    "middle_click": "middleClick",
    "hover": "moveTo",
}
_PLAYWRIGHT_KEYS = {
    "ctrl": "Control",
    "control": "Control",
    "alt": "Alt",
    "shift": "Shift",
    "cmd": "Meta",
    "command": "Meta",
    "win": "Meta",
    "super": "Meta",
    "meta": "Meta",
    "enter": "Enter",
    "return": "Enter",
    "esc": "Escape",
    "escape": "Escape",
    "tab": "Tab",
    "space": "Space",
    "backspace": "Backspace",
    "delete": "Delete",
    "del": "Delete",
    "home": "Home",
    "end": "End",
    "pageup": "PageUp",
    "pagedown": "PageDown",
    "up": "ArrowUp",
    "down": "ArrowDown",
    "left": "ArrowLeft",
    "right": "ArrowRight",
}
_ADB_KEYS = {
    "enter": "KEYCODE_ENTER",
    "return": "KEYCODE_ENTER",
    "esc": "KEYCODE_ESCAPE",
    "escape": "KEYCODE_ESCAPE",
    "tab": "KEYCODE_TAB",
    "backspace": "KEYCODE_DEL",
    "delete": "KEYCODE_FORWARD_DEL",
    "del": "KEYCODE_FORWARD_DEL",
    "home": "KEYCODE_HOME",
    "back": "KEYCODE_BACK",
}


def _pixel(place: Place, size: Size) -> tuple[int, int]:
    """Return the whole pixel of a place: one that is inside the image."""
    x, y = (min(max(round(number), 0), side - 1) for number, side in zip(place, size, strict=True))
    return x, y


def _arguments(place: Place, size: Size) -> str:
    x, y = _pixel(place, size)
    return f"{x}, {y}"


def _way(target: Target) -> tuple[int, int]:
    """Return which way the content is scrolled; a finger that swipes up scrolls it down."""
    x, y = DIRECTIONS[target.direction]
    return (-x, -y) if target.gesture == "swipe" else (x, y)


def _tap(at: Place, size: Size) -> str:
    x, y = _pixel(at, size)
    return f"adb shell input tap {x} {y}"


def to_pyautogui(target: Target, size: Size) -> str:
    """Return a line of Python for pyautogui; of a box or a point, a click on it."""
    if target.gesture == "type":
        before = f"pyautogui.click({_arguments(target.at, size)}); " if target.at else ""
        return f"{before}pyautogui.write({target.text!r})"
    if target.gesture == "keys":
        keys = [key.strip().lower() for key in target.text.split("+") if key.strip()]
        return f"pyautogui.hotkey({', '.join(map(repr, keys))})" if keys else ""
    if target.gesture in ("scroll", "swipe"):
        return _scroll_by_pyautogui(target, size)
    if target.at is None or target.gesture == "other":
        return ""
    place = _arguments(target.at, size)
    if target.gesture == "drag":
        if target.end is None:
            return ""
        end = _arguments(target.end, size)
        return f"pyautogui.moveTo({place}); pyautogui.dragTo({end}, duration={_DRAG_S})"
    if target.gesture == "long_press":
        return (
            f"pyautogui.mouseDown({place}); pyautogui.sleep({_LONG_PRESS_MS / 1000:g}); "
            "pyautogui.mouseUp()"
        )
    return f"pyautogui.{_PYAUTOGUI.get(target.gesture, 'click')}({place})"


def _scroll_by_pyautogui(target: Target, size: Size) -> str:
    if not target.direction:
        return ""
    x, y = _way(target)
    name, clicks = ("hscroll", x) if x else ("scroll", -y)  # up is positive
    where = ""
    if target.at:
        at_x, at_y = _pixel(target.at, size)
        where = f", x={at_x}, y={at_y}"
    return f"pyautogui.{name}({clicks * target.steps}{where})"


def to_playwright(target: Target, size: Size) -> str:
    """Return a line of Python for Playwright's ``page``; of a box or a point, a click on it."""
    if target.gesture == "type":
        before = f"page.mouse.click({_arguments(target.at, size)}); " if target.at else ""
        return f"{before}page.keyboard.type({target.text!r})"
    if target.gesture == "keys":
        keys = [key.strip() for key in target.text.split("+") if key.strip()]
        named = "+".join(_PLAYWRIGHT_KEYS.get(key.lower(), key) for key in keys)
        return f"page.keyboard.press({named!r})" if keys else ""
    if target.gesture in ("scroll", "swipe"):
        if not target.direction:
            return ""
        x, y = (way * target.steps * _WHEEL_NOTCH_PX for way in _way(target))
        before = f"page.mouse.move({_arguments(target.at, size)}); " if target.at else ""
        return f"{before}page.mouse.wheel({x}, {y})"
    if target.at is None or target.gesture == "other":
        return ""
    place = _arguments(target.at, size)
    if target.gesture == "drag":
        if target.end is None:
            return ""
        return (
            f"page.mouse.move({place}); page.mouse.down(); "
            f"page.mouse.move({_arguments(target.end, size)}); page.mouse.up()"
        )
    match target.gesture:
        case "hover":
            return f"page.mouse.move({place})"
        case "double_click":
            return f"page.mouse.dblclick({place})"
        case "right_click":
            return f'page.mouse.click({place}, button="right")'
        case "middle_click":
            return f'page.mouse.click({place}, button="middle")'
        case "long_press":
            return f"page.mouse.click({place}, delay={_LONG_PRESS_MS})"
    return f"page.mouse.click({place})"


def to_adb(target: Target, size: Size) -> str:
    """Return a shell command for adb; of a box or a point, a tap on it."""
    if target.gesture == "type":
        # quoted twice: the device's shell reads what the own one hands on; "%s" is a blank there
        typed = shlex.quote(target.text.replace(" ", "%s"))
        before = f"{_tap(target.at, size)} && " if target.at else ""
        return f"{before}adb shell {shlex.quote(f'input text {typed}')}"
    if target.gesture == "keys":
        key = _ADB_KEYS.get(target.text.strip().lower())
        return f"adb shell input keyevent {key}" if key else ""
    if target.gesture in ("scroll", "swipe"):
        return _swipe_by_adb(target, size)
    if target.at is None or target.gesture in ("other", "hover", "right_click", "middle_click"):
        return ""  # fingers cannot
    x, y = _pixel(target.at, size)
    if target.gesture == "drag":
        if target.end is None:
            return ""
        end_x, end_y = _pixel(target.end, size)
        return f"adb shell input swipe {x} {y} {end_x} {end_y} {_DRAG_MS}"
    if target.gesture == "long_press":
        return f"adb shell input swipe {x} {y} {x} {y} {_LONG_PRESS_MS}"
    tap = _tap(target.at, size)
    return f"{tap} && {tap}" if target.gesture == "double_click" else tap


def _swipe_by_adb(target: Target, size: Size) -> str:
    if not target.direction:
        return ""
    # what scrolls down is pushed up by the finger
    back = -1 if target.gesture == "scroll" else 1
    x, y = _pixel(target.at or (size[0] / 2, size[1] / 2), size)
    way_x, way_y = DIRECTIONS[target.direction]
    end = (
        x + back * way_x * _SWIPE_SHARE * size[0],
        y + back * way_y * _SWIPE_SHARE * size[1],
    )
    end_x, end_y = _pixel(end, size)
    return f"adb shell input swipe {x} {y} {end_x} {end_y} {_SWIPE_MS}"
