"""A visitor's own endpoint on the page: tested, used in both tabs, and left again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_backend import END, ScriptedBackend
from scripted_endpoint import Exchange, card, scripted_endpoint
from visitor import Visitor

from model.backends.base import AnswerDelta

pytestmark = [pytest.mark.browser, pytest.mark.slow]
KEY = "sk-planted-0123456789"


def test_a_visitor_is_answered_by_an_endpoint_of_their_own_and_nobody_else_is(
    serve: Callable[..., str], visitor: Visitor
) -> None:
    with scripted_endpoint() as endpoint:

        def list_models(exchange: Exchange) -> None:
            if exchange.asked.headers.get("authorization") == f"Bearer {KEY}":
                exchange.reply(200, {"object": "list", "data": [card("one"), card("two")]})
            else:
                exchange.reply(401, {})

        endpoint.models = list_models
        backend = ScriptedBackend([AnswerDelta("From the page."), END])
        url = serve(backend, visitor_endpoints=[endpoint.url])
        page, other = visitor.open(url), visitor.open(url)
        fold, key = page.locator("#own-endpoint"), page.locator("#own-key input")
        fold.get_by_text("Answer with your own endpoint").click()
        assert key.get_attribute("type") == "password"
        key.fill("sk-wrong")
        key.press("Enter")
        fold.get_by_text("refuses the key").wait_for()
        assert key.input_value() == ""
        key.fill(KEY)
        page.locator("#own-test").click()
        page.locator("#own-use").click()
        page.locator("#status", has_text="one").wait_for()
        for each, answer in ((page, "Yes."), (other, "From the page.")):
            each.get_by_role("tab", name="Chat").click()
            each.locator("#prompt textarea").fill("Hi")
            each.keyboard.press("Enter")
            each.locator("#log", has_text=answer).wait_for()
        page.locator("#own-stop").click()
        page.locator("#status", has_text="Scripted").wait_for()
        page.locator("#prompt textarea").fill("And now?")
        page.keyboard.press("Enter")
        page.locator("#log", has_text="From the page.").wait_for()
    assert [asked.body["model"] for asked in endpoint.asked] == ["one"]
    assert len(backend.questions) == 2
