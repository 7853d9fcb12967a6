"""Answers that are cut and gone on with, thoughts that are bounded, and what the model is given."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

import pytest
import screen_questions
import torch
from opens_files import BUNDLED

from model.backends.answer_reader import AnswerReader
from model.backends.base import AnswerDelta, Message, Reply, SamplingOptions, Sent, ThinkingDelta
from model.backends.continuing import ENTRY_BYTES, WrittenAnswers, find_cut
from model.backends.local import LocalBackend
from model.backends.local_prompt import build_prompt
from model.processing import Glm4vProcessor


@pytest.fixture(scope="module")
def processor() -> Glm4vProcessor:
    return Glm4vProcessor.from_pretrained(BUNDLED)


question = partial(screen_questions.question, scale=1)


def ask(
    backend: LocalBackend,
    messages: list[Message],
    *,
    thinking: bool = True,
    shown: Reply | None = None,
    **options: Any,
) -> Reply:
    """Return the reply; one that is gone on with begins with what is shown of it."""
    if shown is None:
        return screen_questions.ask(backend, messages, thinking=thinking, **options)
    begun = Reply(thinking=shown.thinking, answer=shown.answer)
    messages = [*messages, as_message(shown)]
    return screen_questions.ask(backend, messages, thinking=thinking, reply=begun, **options)


def as_message(shown: Reply) -> Message:
    content = [{"type": "text", "text": shown.answer}] if shown.answer else None
    return {"role": "assistant", "content": content, "reasoning_content": shown.thinking}


def texts(reply: Reply) -> tuple[str, str]:
    return reply.thinking, reply.answer


def new_tokens(reply: Reply) -> int:
    assert reply.finished is not None
    return reply.finished.new_tokens


@pytest.mark.parametrize("thinking", [True, False])
def test_cut_anywhere_and_gone_on_with_an_answer_is_the_uncut_one(
    backend: LocalBackend, thinking: bool
) -> None:
    whole = ask(backend, question(), thinking=thinking)
    assert bool(whole.thinking) == thinking
    size = new_tokens(whole)
    for cut in range(1, size):
        begun = ask(backend, question(), thinking=thinking, max_new_tokens=cut)
        rest = ask(backend, question(), thinking=thinking, shown=begun)
        if texts(begun) == ("", ""):  # only the tag: nothing is there to go on with
            assert new_tokens(rest) == size
        assert texts(rest) == texts(whole)


def test_one_that_is_cut_again_and_again_is_still_the_same(backend: LocalBackend) -> None:
    whole = ask(backend, question())
    reply = ask(backend, question(), max_new_tokens=5)
    for _ in range(new_tokens(whole) // 5):
        reply = ask(backend, question(), shown=reply, max_new_tokens=5)
    assert texts(reply) == texts(whole)


def test_after_a_restart_an_answer_goes_on_from_its_text(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact where the text is spelled by the same tokens: here, everywhere but inside of words."""
    monkeypatch.setattr(WrittenAnswers, "find", lambda *_: iter(()))
    whole = ask(backend, question())
    cuts = range(3, new_tokens(whole), 3)
    same = 0
    for cut in cuts:
        begun = ask(backend, question(), max_new_tokens=cut)
        same += texts(ask(backend, question(), shown=begun)) == texts(whole)
    assert same >= 0.8 * len(cuts)


def test_only_the_new_tokens_of_an_answer_that_goes_on_are_computed(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = ask(backend, question("Click on the other button"), max_new_tokens=12)
    assert backend._loaded is not None
    decoder = backend._loaded.model.model.language_model
    computed, run = [], decoder.forward

    def count(*args: Any, **inputs: Any) -> Any:
        x = inputs["input_ids"] if "input_ids" in inputs else inputs["inputs_embeds"]
        computed.append(x.shape[1])
        return run(*args, **inputs)

    monkeypatch.setattr(decoder, "forward", count)
    ask(backend, question("Click on the other button"), shown=begun, max_new_tokens=3)
    assert sum(computed) == 3


def test_a_stopped_thought_goes_on_as_a_thought(backend: LocalBackend) -> None:
    whole = ask(backend, question())
    shown = Reply()
    stream = backend.stream(question(), enable_thinking=True, options=SamplingOptions())
    with closing(stream):
        for event in stream:
            shown.add(event)
            if len(shown.thinking) > len(whole.thinking) // 2:
                break
    messages = [*question(), as_message(shown)]
    # thinking is switched off meanwhile: what was begun is ended all the same
    rest = list(backend.stream(messages, enable_thinking=False, options=SamplingOptions()))
    deltas = [event for event in rest if isinstance(event, ThinkingDelta | AnswerDelta)]
    assert isinstance(deltas[0], ThinkingDelta)
    thought = "".join(event.text for event in deltas if isinstance(event, ThinkingDelta))
    answer = "".join(event.text for event in deltas if isinstance(event, AnswerDelta))
    assert (shown.thinking + thought, answer) == texts(whole)


def test_an_answer_that_was_changed_goes_on_from_the_change(backend: LocalBackend) -> None:
    shown = Reply(thinking="The button is at the top.", answer="It is here: ")
    reply = ask(backend, question(), shown=shown, max_new_tokens=8)
    assert reply.answer.startswith("It is here: ")
    assert "<think>The button is at the top.</think>\nIt is here:" in reply.request


def test_a_thought_is_closed_at_its_budget(backend: LocalBackend) -> None:
    asked = screen_questions.about("checkout.png", "Click on the Coupon field")
    free = ask(backend, asked)
    for budget in (0, 1, 5):
        reply = ask(backend, asked, thinking_budget=budget)
        assert free.thinking.startswith(reply.thinking)
        assert len(reply.thinking) < len(free.thinking)
        assert bool(reply.thinking) == bool(budget)
        assert reply.answer.startswith("<|begin_of_box|>")
    assert texts(ask(backend, asked, thinking_budget=500)) == texts(free)


def test_the_budget_of_a_thought_that_goes_on_counts_what_was_thought(
    backend: LocalBackend,
) -> None:
    whole = ask(backend, question(), thinking_budget=8)
    for cut in (3, 9, 10):
        begun = ask(backend, question(), thinking_budget=8, max_new_tokens=cut)
        rest = ask(backend, question(), shown=begun, thinking_budget=8)
        assert texts(rest) == texts(whole)


def test_what_was_sent_comes_first_with_its_pictures_counted(backend: LocalBackend) -> None:
    stream = backend.stream(question("Hi"), enable_thinking=False, options=SamplingOptions())
    with closing(stream):
        sent = next(stream)
    assert isinstance(sent, Sent)
    assert sent.request == (
        "[gMASK]<sop><|user|>\n<|begin_of_image|><|image|> x 266<|end_of_image|>Hi/nothink"
        "<|assistant|>\n<think></think>\n"
    )


def test_what_a_checkpoint_is_by_default_is_known(backend: LocalBackend) -> None:
    assert backend.abilities.continuing
    assert backend.abilities.thinking_budget
    assert backend.defaults.max_new_tokens == 8192
    assert backend.defaults.temperature == 0.0


# Tokens of a thought and an answer, pieces of words among them.
WRITTEN = "<think>\nLook: é 中.\n</think>\n\nIt <|begin_of_box|>[[1,2]]<|end_of_box|> is."


def test_a_text_is_found_in_the_tokens_that_it_was_written_in(processor: Glm4vProcessor) -> None:
    tokens = processor.tokenizer.encode(WRITTEN, allow_special=True)
    reader, reply = AnswerReader(processor.tokenizer, inside=False), Reply()
    shown = []
    for token in tokens:
        for event in reader.push(token)[1]:
            reply.add(event)
        shown.append(texts(reply))
    for count, (thought, answer) in enumerate(shown, start=1):
        fresh = AnswerReader(processor.tokenizer, inside=False)
        cut = find_cut(tokens, Reply(thinking=thought, answer=answer), fresh)
        assert cut is not None
        assert cut >= count
        assert [text.strip() for text in shown[cut - 1]] == [thought.strip(), answer.strip()]
    fresh = AnswerReader(processor.tokenizer, inside=False)
    assert find_cut(tokens, Reply(thinking="Look at me"), fresh) is None


def test_half_a_character_is_not_shown_and_comes_whole(processor: Glm4vProcessor) -> None:
    tokens = processor.tokenizer.encode("so: 中文")
    for cut in range(1, len(tokens)):
        reader, shown = AnswerReader(processor.tokenizer, inside=False), Reply()
        for token in tokens[:cut]:
            for event in reader.push(token)[1]:
                shown.add(event)
        for event in reader.end(is_complete=False)[1]:
            shown.add(event)
        again = AnswerReader(processor.tokenizer, inside=False)
        events = again.go_on_from(tokens[:cut], shown)
        for token in tokens[cut:]:
            events += again.push(token)[1]
        events += again.end(is_complete=True)[1]
        for event in events:
            shown.add(event)
        assert shown.answer == "so: 中文"


def test_half_a_character_that_ends_where_it_goes_on_is_shown_as_broken(
    backend: LocalBackend, processor: Glm4vProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, asked = backend._loaded, question("Half a character")
    assert loaded is not None
    prompt = build_prompt(processor, asked, enable_thinking=False, answers=loaded.written)
    loaded.written.put(prompt.question, processor.tokenizer.encode("so: 中")[:-1])
    logits = torch.zeros(1, 1, loaded.model.config.text_config.vocab_size)
    logits[..., loaded.model.generation_config.eos_token_id[0]] = 1.0
    monkeypatch.setattr(
        loaded.model.lm_head, "forward", lambda x: logits.to(x).expand(*x.shape[:-1], -1)
    )
    reply = ask(backend, asked, thinking=False, shown=Reply(answer="so:"))
    assert reply.answer == "so: \N{REPLACEMENT CHARACTER}"
    assert new_tokens(reply) == 1


def test_tokens_of_answers_are_kept_within_their_bound_the_newest_first() -> None:
    answers = WrittenAnswers(max_bytes=3 * ENTRY_BYTES + 4 * 7)
    for size in (4, 2, 3):
        answers.put([1, 2], [size] * size)
    answers.put([9], [1])
    assert list(answers.find([1, 2])) == [[3, 3, 3], [2, 2]]
    assert list(answers.find([1])) == []
    answers.put([3], [0] * 1000)
    assert list(answers.find([3])) == list(answers.find([1, 2])) == []
