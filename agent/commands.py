"""An action in any of the agents' languages -> what a mouse and a keyboard do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from grounding import Action

Kind: TypeAlias = Literal[
    "click", "move", "drag", "scroll", "type", "press", "wait", "back", "home"
]
Place: TypeAlias = tuple[float, float]

LONG_PRESS_S = 0.8
WAIT_S = 5.0  # what the prompts promise
WHEEL_STEP_PX = 100
SWIPE_SHARE = 0.6  # of the screen's side
MAX_STEPS = 50

_CLICKS: dict[str, dict[str, Any]] = {
    "click": {},
    "left_click": {},
    "tap": {},
    "right_click": {"button": "right"},
    "middle_click": {"button": "middle"},
    "left_double_click": {"count": 2},
    "double tap": {"count": 2},
    "long_press": {"hold_s": LONG_PRESS_S},
    "long press": {"hold_s": LONG_PRESS_S},
}
_KEYS = {
    "ctrl": "Control",
    "control": "Control",
    "alt": "Alt",
    "shift": "Shift",
    "cmd": "Meta",
    "win": "Meta",
    "super": "Meta",
    "meta": "Meta",
    "enter": "Enter",
    "return": "Enter",
    "esc": "Escape",
    "escape": "Escape",
    "del": "Delete",
    "delete": "Delete",
    "backspace": "Backspace",
    "tab": "Tab",
    "space": "Space",
    "up": "ArrowUp",
    "down": "ArrowDown",
    "left": "ArrowLeft",
    "right": "ArrowRight",
    "pageup": "PageUp",
    "page_up": "PageUp",
    "pagedown": "PageDown",
    "page_down": "PageDown",
    "home": "Home",
    "end": "End",
    "insert": "Insert",
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
}


class NotPossible(ValueError):
    """The action cannot be carried out on a page; the message says why, for the user."""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do; pixels of the screenshot, which are those of the page.

    Attributes:
        at: where; None for wherever the mouse or the focus is.
        to: where a drag ends.
        text: to type, or the keys to press together as "Control+c".
        delta: of the wheel, to the right and down.
    """

    kind: Kind
    at: Place | None = None
    to: Place | None = None
    text: str = ""
    button: Literal["left", "right", "middle"] = "left"
    count: int = 1
    hold_s: float = 0.0
    delta: tuple[float, float] = (0.0, 0.0)


def to_commands(action: Action, size: tuple[int, int]) -> tuple[Command, ...]:
    """Return what carries an action out; nothing for one that only says something.

    Args:
        size: of the screenshot in pixels.

    Raises:
        NotPossible: a page has nothing like it, or the action does not say where.
    """
    name, args = action.type.lower(), action.args
    if name in _CLICKS:
        return (Command("click", _place(action), **_CLICKS[name]),)
    if name == "hover":
        return (Command("move", _place(action)),)
    if name in ("left_drag", "swipe") and action.end is not None:
        return (Command("drag", _place(action), action.end),)
    if name == "swipe":
        return (_swipe(action, size),)
    if name == "scroll":
        return (_scroll(action),)
    if name in ("type", "input_text", "type_name"):
        return _type(action)
    if name in ("key", "keyboard_enter"):
        return (Command("press", text=to_keys(str(args.get("keys", args.get("text", "enter"))))),)
    if name in ("navigate_back", "goback", "back"):
        return (Command("back"),)
    if name in ("navigate_home", "home"):
        return (Command("home"),)
    if name == "wait":
        return (Command("wait", hold_s=WAIT_S),)
    if name in ("answer", "status", "done", "fail", "finish", "note"):
        return ()
    raise NotPossible(f"{action.type} is not possible on a web page.")


def to_keys(keys: str) -> str:
    """Return a combination in the names of the browser: "ctrl+c" -> "Control+c"."""
    if len(keys) == 1:
        return keys
    parts = [part.strip() for part in keys.replace(" ", "+").split("+") if part.strip()]
    named = [part if len(part) == 1 else _KEYS.get(part.lower(), "") for part in parts]
    if not named or not all(named):
        raise NotPossible(f"There is no key {keys!r}.")
    return "+".join(named)


def _place(action: Action) -> Place:
    if action.target is None:
        raise NotPossible(f"{action.type} does not say where, or names nothing on the screen.")
    return action.target


def _type(action: Action) -> tuple[Command, ...]:
    """Type; the phone's and the web's typing begins with a click and ends with Enter."""
    text = str(action.args.get("text", action.args.get("content", "")))
    is_whole = action.type == "Type" and "index" in action.args
    if action.type.lower() != "input_text" and not is_whole:
        return (Command("type", text=text),)
    clearing = is_whole or action.args.get("override") is True
    return (
        Command("click", _place(action)),
        *((Command("press", text="Control+a"), Command("press", text="Delete")) * clearing),
        Command("type", text=text),
        Command("press", text="Enter"),
    )


def _scroll(action: Action) -> Command:
    direction = str(action.args.get("direction", "down")).lower()
    steps = action.args.get("step", action.args.get("steps", 5))
    steps = min(abs(steps), MAX_STEPS) if isinstance(steps, int | float) else 5
    signs = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
    if direction not in signs:
        raise NotPossible(f"There is no direction {direction!r}; known are up, down, left, right.")
    x, y = signs[direction]
    length = steps * WHEEL_STEP_PX
    return Command("scroll", action.target, delta=(x * length, y * length))


def _swipe(action: Action, size: tuple[int, int]) -> Command:
    """A finger that moves up shows what is below."""
    direction = str(action.args.get("direction", "up")).lower()
    signs = {"up": (0, 1), "down": (0, -1), "left": (1, 0), "right": (-1, 0)}
    if direction not in signs:
        raise NotPossible(f"There is no direction {direction!r}; known are up, down, left, right.")
    x, y = signs[direction]
    delta = (x * SWIPE_SHARE * size[0], y * SWIPE_SHARE * size[1])
    return Command("scroll", action.target, delta=delta)
