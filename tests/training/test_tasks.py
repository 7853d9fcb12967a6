"""Turns about screens: how many, of what kind, and whether their answers are right."""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import lru_cache

import pytest
from hand_made_screens import make_screen, random_screen

from grounding import parse
from grounding.result import Result
from training.screens.screen import Element, Screen
from training.tasks import NOT_THERE, TASKS, Turn, held_out_turns, turns
from training.tasks.listing import ask_caption
from training.tasks.names import ALIASES, plural
from training.tasks.scene import Scene, shown_text
from training.tasks.turn import answer_with_click, answer_with_labels
from training.tasks.wording import ICON_NAMES, LOCATE, LOCATE_ALSO, WHERE_IS_IT

SEEDS = range(30)
ONE_BOX = ("text", "icon", "reference", "field")
OTHERS = [random_screen(1000), random_screen(1001)]


def _asked(*tasks: str, count: int = 28) -> list[tuple[Screen, Turn]]:
    """Turns of each of these tasks, about screens that repeat names, icons and colours."""
    found = [(screen, turn) for screen, turn in _all_turns(count) if turn.task in tasks]
    assert {turn.task for _, turn in found} == {*tasks}
    return found


@lru_cache
def _all_turns(count: int) -> list[tuple[Screen, Turn]]:
    screens = [random_screen(seed) for seed in SEEDS]
    return [
        (screen, turn)
        for seed, screen in enumerate(screens)
        for turn in turns(screen, random.Random(seed), count, others=OTHERS)
    ]


def _read(turn: Turn, screen: Screen) -> Result:
    """What the page makes of an answer."""
    thought = "" if turn.thought is None else f"<think>{turn.thought}</think>\n"
    return parse(thought + turn.answer, [(screen.width, screen.height)])


def _is_near(found: tuple[float, ...], wanted: tuple[float, ...], screen: Screen) -> bool:
    sides = (screen.width, screen.height) * 2
    return all(
        abs(a - b) <= side / 1000 + 1e-6 for a, b, side in zip(found, wanted, sides, strict=True)
    )


# -- how many and which ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 13, 14, 28])
def test_as_many_turns_as_wanted_the_long_ones_last(count: int) -> None:
    asked = turns(random_screen(3), random.Random(3), count)
    assert len(asked) == count
    is_long = [turn.task in ("listing", "caption") for turn in asked]
    assert is_long == [False] * (count - count // 14) + [True] * (count // 14)


def test_the_same_arguments_give_the_same_turns() -> None:
    screen = random_screen(5)
    first, second, other = (
        turns(screen, random.Random(seed), 28, others=OTHERS) for seed in (7, 7, 8)
    )
    assert first == second != other


def test_every_task_is_asked_with_and_without_a_thought() -> None:
    seen = {(turn.task, turn.thought is None) for _, turn in _asked(*TASKS, count=84)}
    assert seen == {(task, plain) for task in TASKS for plain in (True, False)}


def test_short_turns_have_no_thought_and_no_second_question() -> None:
    asked = [
        t for seed in SEEDS for t in turns(random_screen(seed), random.Random(0), 14, short=True)
    ]
    assert {turn.task for turn in asked} <= {"text", "icon", "reading", "reference", "absent"}
    assert all(turn.thought is None and not turn.before for turn in asked)
    assert max(len(turn.question) for turn in asked) < 100


def test_a_screen_that_shows_nothing_can_be_asked_about() -> None:
    asked = turns(make_screen(), random.Random(0), 14)
    assert {turn.task for turn in asked} <= {"absent", "caption", "chat"}


def test_held_out_turns_do_not_think_and_ask_for_no_element_twice() -> None:
    tasks = set()
    for seed in SEEDS:
        asked = held_out_turns(random_screen(seed), random.Random(seed), others=OTHERS)
        tasks |= {turn.task for turn in asked}
        assert all(turn.thought is None for turn in asked)
        places = Counter((t.task, id(t.element)) for t in asked if t.element is not None)
        assert set(places.values()) == {1}
    assert tasks == set(TASKS)


# -- whether answers are right --------------------------------------------------------------------


def test_the_page_finds_exactly_the_box_of_the_element_in_an_answer() -> None:
    for screen, turn in _asked(*ONE_BOX):
        assert turn.element is not None
        result = _read(turn, screen)
        assert len(result.boxes) == 1
        assert _is_near(result.boxes[0].xyxy, turn.element.box, screen)
        assert result.notes == []


def test_an_agent_clicks_inside_the_element_and_says_its_name() -> None:
    for screen, turn in _asked("agent"):
        assert turn.element is not None
        (action,) = _read(turn, screen).actions
        x0, y0, x1, y1 = turn.element.box
        assert action.type == "left_click"
        assert action.target is not None
        assert x0 <= action.target[0] <= x1
        assert y0 <= action.target[1] <= y1
        element = turn.element
        assert action.args["element_info"] == (element.label or element.name or element.role)


def test_an_answer_about_what_is_not_there_has_no_place() -> None:
    answers = set()
    for screen, turn in _asked("absent"):
        result = _read(turn, screen)
        assert turn.element is None
        assert not result.boxes
        assert not result.points
        assert all(action.target is None for action in result.actions)
        answers.add(result.answer)
    assert answers == {NOT_THERE, "FAIL()"}


def test_several_boxes_are_those_of_all_elements_that_are_meant() -> None:
    for screen, turn in _asked("several"):
        meant = _all_meant(turn.question, screen)
        boxes = [box.xyxy for box in _read(turn, screen).boxes]
        assert len(boxes) == len(meant) >= 2, turn.question
        for element in meant:
            assert any(_is_near(box, element.box, screen) for box in boxes)


def _all_meant(question: str, screen: Screen) -> list[Element]:
    """Elements that a question for all of a kind asks for: the longest noun that it holds."""
    nouns: dict[str, list[Element]] = {}
    for element in screen.elements:
        for alias in ALIASES[element.role]:
            kinds = (alias, f"{element.color} {alias}", f"{element.name} {alias}")
            for noun in {plural(kind).lower().strip() for kind in kinds}:
                nouns.setdefault(noun, []).append(element)
    held = [n for n in nouns if re.search(rf"(all|the) {re.escape(n)}\b", question.lower())]
    return nouns[max(held, key=len)]


def test_a_list_names_every_box() -> None:
    for screen, turn in _asked("listing"):
        boxes = _read(turn, screen).boxes
        assert 1 <= len(boxes) <= 8
        for box in boxes:
            fitting = [
                e
                for e in screen.elements
                if _is_near(box.xyxy, e.box, screen)
                and box.label in (shown_text(e), e.label or e.name or e.role)
            ]
            assert fitting, (turn.question, box)


def test_a_list_is_complete_or_says_how_many() -> None:
    for screen, turn in _asked("listing"):
        boxes = _read(turn, screen).boxes
        if "(first 8)" in turn.question:
            assert len(boxes) == 8
        elif "text" in turn.question and "field" not in turn.question:
            assert len(boxes) == sum(bool(shown_text(e)) for e in screen.elements)


def test_reading_gives_the_only_text_in_the_box() -> None:
    for screen, turn in _asked("reading"):
        assert turn.element in screen.elements
        assert turn.element is not None
        assert turn.answer == shown_text(turn.element) != ""
        x0, y0, x1, y1 = turn.element.box
        for other in screen.elements:
            x, y = (other.box[0] + other.box[2]) / 2, (other.box[1] + other.box[3]) / 2
            if x0 <= x <= x1 and y0 <= y <= y1:
                assert shown_text(other) in ("", turn.answer)


def test_a_question_about_a_place_does_not_tell_its_own_answer() -> None:
    for _, turn in _asked("reading", "role", "icon name"):
        asked = re.sub(r"element|icon", "", turn.question.lower())
        assert (
            f" {turn.answer.lower()} " not in f" {asked.rstrip('.?')} " or "[" not in turn.question
        )


def test_roles_and_icons_are_named_as_they_are() -> None:
    for _, turn in _asked("role", "icon name"):
        assert turn.element is not None
        named = f"{turn.element.name} icon" if turn.task == "icon name" else turn.element.role
        assert turn.answer == named


def test_a_question_about_a_state_is_answered_with_yes_or_no() -> None:
    answers = Counter()
    for _, turn in _asked("state", count=112):  # such questions are rare
        assert turn.element is not None
        wanted = re.search(r"(checked|ticked|on|selected)\?$", turn.question)
        assert wanted is not None
        word = "checked" if wanted[1] == "ticked" else wanted[1]
        assert turn.answer == ("Yes." if turn.element.state == word else "No.")
        answers[turn.answer] += 1
    assert min(answers["Yes."], answers["No."]) > 5


def test_a_caption_counts_what_is_there() -> None:
    for screen, turn in _asked("caption"):
        found = re.findall(r"(\d+) (button|icon|text field)", turn.answer)
        assert len(found) == 3
        for count, role in found:
            assert int(count) == sum(e.role == role for e in screen.elements)


def test_a_caption_has_the_title_if_it_can_be_read() -> None:
    heading = Element("heading", (10, 10, 90, 30), "Sign in")
    for elements, is_titled in (((heading,), True), ((), False)):
        screen = make_screen(*elements, title="Sign in")
        answer = ask_caption(Scene(screen, random.Random(0))).answer
        assert (" titled 'Sign in' " in answer) == is_titled


@pytest.mark.parametrize(
    "name", ["What's new", "a [1,2]", 'say "hi"', "f(x)", "50 % off, now", "[[1,2,3,4]]", "Größe →"]
)
def test_names_with_marks_of_their_own_come_back_from_answers(name: str) -> None:
    element = Element("button", (10, 10, 90, 40), name)
    screen = make_screen(element)
    size = [(screen.width, screen.height)]
    (action,) = parse(answer_with_click(screen, element, name), size).actions
    assert action.args["element_info"] == name
    (box,) = parse(answer_with_labels(screen, [element], [name]), size).boxes
    assert box.label == name
    assert _is_near(box.xyxy, element.box, screen)


# -- conversations --------------------------------------------------------------------------------


def test_a_second_question_about_it_is_about_the_element_of_the_first() -> None:
    count = 0
    for screen, turn in _asked("chat", count=84):
        question, answer = turn.before[-1]
        if turn.question not in WHERE_IS_IT:
            continue
        count += 1
        assert turn.element is not None
        (box,) = _read(turn, screen).boxes
        assert _is_near(box.xyxy, turn.element.box, screen)
        assert answer in (shown_text(turn.element), ICON_NAMES[1].format(turn.element.name))
        assert "?" in question or question.split()[0] in ("Read", "OCR")
    assert count > 5


def test_a_conversation_has_two_questions_or_three() -> None:
    counts = Counter(len(turn.before) for _, turn in _asked("chat", count=84))
    assert set(counts) == {1, 2}
    assert counts[1] > counts[2]


def test_answers_keep_their_form_in_a_conversation() -> None:
    for screen, turn in _asked("chat"):
        result = _read(turn, screen)
        if turn.element is None:
            assert turn.answer == NOT_THERE
        elif result.boxes:
            assert _is_near(result.boxes[0].xyxy, turn.element.box, screen)
        else:
            assert turn.answer in (shown_text(turn.element), turn.element.role)


def test_what_is_not_there_is_asked_for_in_conversations_too() -> None:
    answers = Counter(turn.answer == NOT_THERE for _, turn in _asked("chat", count=84))
    assert answers[True] > 5
    assert answers[False] > answers[True]


# -- thoughts -------------------------------------------------------------------------------------


def test_a_thought_names_place_role_and_name() -> None:
    asked = [
        (screen, turn, turn.thought, turn.element)
        for screen, turn in _asked(*ONE_BOX, "agent")
        if turn.thought is not None and turn.element is not None
    ]
    assert {turn.task for _, turn, _, _ in asked} == {*ONE_BOX, "agent"}
    for screen, _, thought, element in asked:
        place = re.match(r"At \[(\d+),(\d+)\]: ", thought)
        assert place is not None, thought
        x, y = (int(number) for number in place.groups())
        middle = (element.box[0] + element.box[2]) / 2, (element.box[1] + element.box[3]) / 2
        assert abs(x - middle[0] / screen.width * 1000) <= 1
        assert abs(y - middle[1] / screen.height * 1000) <= 1
        assert element.role in thought
        assert (element.label or element.name) in thought
        row = "middle" if "middle" in thought or "center." in thought else None
        assert row or (("top " in thought) == (middle[1] < screen.height / 2))


def test_a_thought_about_what_is_missing_says_so() -> None:
    thoughts = [turn.thought for _, turn in _asked("absent") if turn.thought is not None]
    assert thoughts
    assert all(re.fullmatch(r"No .+ here\.", thought) for thought in thoughts)


# -- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [*LOCATE, *LOCATE_ALSO])
def test_a_form_has_one_place_for_what_is_meant(form: str) -> None:
    assert form.count("{}") == 1


def test_no_question_has_two_articles() -> None:
    for _, turn in _asked(*ONE_BOX, "absent", "chat"):
        assert not re.search(r"\b(the|a) the\b", turn.question, re.IGNORECASE), turn.question


def test_names_are_typed_in_several_ways() -> None:
    screen = make_screen(Element("button", (10, 10, 90, 40), "Save draft"))
    asked = [t.question for t in turns(screen, random.Random(1), 200, short=True)]
    for way in ("'Save draft'", '"Save draft"', "“Save draft”", "save draft", "SAVE DRAFT"):
        assert any(way in question for question in asked), way


def test_a_scene_without_other_screens_takes_common_names() -> None:
    scene = Scene(make_screen(Element("button", (10, 10, 90, 40), "Save")), random.Random(0))
    assert scene.others == []
    asked = turns(scene.screen, random.Random(0), 84)
    assert any(turn.task == "absent" for turn in asked)
