"""How many questions of which kind are asked about a screen."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from training.screens.screen import Screen
from training.tasks.absence import ask_absent, ask_absent_intent
from training.tasks.acting import ask_action
from training.tasks.chat import ask_in_chat
from training.tasks.listing import ask_caption, ask_listing
from training.tasks.locating import ask_field, ask_icon, ask_reference, ask_several, ask_text
from training.tasks.reading import ask_icon_name, ask_reading, ask_role, ask_state
from training.tasks.scene import Scene
from training.tasks.turn import Turn

Ask = Callable[[Scene], Turn | None]

# shares of the questions; a kind that the screen has nothing for leaves its share to the others
_USUAL: tuple[tuple[Ask, float], ...] = (
    (ask_text, 32),
    (ask_icon, 18),
    (ask_reference, 12),
    (ask_field, 4),
    (ask_reading, 6),
    (ask_role, 2),
    (ask_icon_name, 3),
    (ask_state, 2),
    (ask_action, 7),
    # more than people ask: else a model points at something similar rather than saying no
    (ask_absent, 19),
    (ask_absent_intent, 2),
    (ask_several, 4),
    (ask_in_chat, 7),
)
_SHORT: tuple[tuple[Ask, float], ...] = (
    (ask_text, 60),
    (ask_icon, 12),
    (ask_reading, 24),
    (ask_reference, 3),
    (ask_absent, 1),
)
_LONG: tuple[tuple[Ask, float], ...] = ((ask_listing, 4), (ask_caption, 1))
_HELD_OUT: tuple[tuple[Ask, int], ...] = (
    (ask_text, 4),
    (ask_icon, 2),
    (ask_reference, 2),
    (ask_field, 1),
    (ask_reading, 2),
    (ask_role, 1),
    (ask_icon_name, 1),
    (ask_state, 1),
    (ask_action, 1),
    (ask_absent, 2),
    (ask_several, 1),
    (ask_in_chat, 1),
    (ask_listing, 1),
    (ask_caption, 1),
)
ONE_LONG_IN = 14  # turns: lists and captions take many tokens
_ATTEMPTS = 3
_REPEATS = 4


def turns(
    screen: Screen,
    rng: random.Random,
    count: int,
    *,
    short: bool = False,
    others: Sequence[Screen] = (),
) -> list[Turn]:
    """Ask ``count`` questions about a screen; the same arguments give the same questions.

    Args:
        short: short questions about text, icons and reading only, without thoughts, for the
            beginning of training; else every 14th question is about the whole screen.
        others: screens of the same kind, such as the rest of a batch; questions about what is not
            there take its names from them. Without any, from a list of common names.
    """
    scene = Scene(screen, rng, others=others, is_short=short)
    long = 0 if short else count // ONE_LONG_IN
    asked: list[Turn] = []
    seen: set[tuple[str, int, bool]] = set()
    while len(asked) < count:
        kinds = _SHORT if short else _USUAL if len(asked) < count - long else _LONG
        turn = _draw(scene, kinds)
        for _ in range(_REPEATS):
            if turn.element is None or _key(turn) not in seen:
                break
            turn = _draw(scene, kinds)
        seen.add(_key(turn))
        asked.append(turn)
    return asked


def held_out_turns(
    screen: Screen, rng: random.Random, *, others: Sequence[Screen] = ()
) -> list[Turn]:
    """Ask up to a few questions of each kind, none about the same element twice, for evaluation.

    None has a thought: an evaluation asks with and without thinking.
    """
    scene = Scene(screen, rng, others=others, thinking_share=0)
    asked: list[Turn] = []
    for ask, count in _HELD_OUT:
        seen: set[int] = set()
        for _ in range(count):
            turn = next((t for _ in range(_REPEATS) if (t := ask(scene))), None)
            if turn is not None and id(turn.element) not in seen:
                asked.append(turn)
                if turn.element is not None:
                    seen.add(id(turn.element))
    return asked


def _draw(scene: Scene, kinds: Sequence[tuple[Ask, float]]) -> Turn:
    """Ask one question; a caption where the screen has nothing to ask about."""
    asks = [ask for ask, _ in kinds]
    weights = [weight for _, weight in kinds]
    for _ in range(_ATTEMPTS * len(kinds)):
        turn = scene.rng.choices(asks, weights)[0](scene)
        if turn is not None:
            return turn
    return ask_caption(scene)


def _key(turn: Turn) -> tuple[str, int, bool]:
    return turn.task, id(turn.element), turn.thought is not None
