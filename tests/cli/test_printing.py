"""Values as JSON."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fleetgraph.cli.printing import shown, to_json
from fleetgraph.types import Interrupt
from tests.client.graphs import Mood, Note, Place


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True, "é"]}, {"a": [1, 2.5, None, True, "é"]}),
        (b"\x00\x01", "AAE="),
        ((1, {2}), [1, [2]]),
        ({1: "one", ("a", 2): "pair"}, {"1": "one", "['a', 2]": "pair"}),
        (Mood.GOOD, "good"),
        (Note("hi", Mood.BAD), {"text": "hi", "mood": "bad"}),
        (Place(1, 2), {"x": 1, "y": 2}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (timedelta(minutes=1), 60.0),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (ValueError("no"), "ValueError: no"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Interrupt("why?", "id"), {"value": "why?", "id": "id", "response_schema": None}),
    ],
    ids=repr,
)
def test_as_json(value: Any, expected: Any) -> None:
    assert json.loads(to_json(value)) == expected
    assert "\n" not in to_json({"text": "two\nlines", "value": value})


def test_models_show_their_fields() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Order(pydantic.BaseModel):
        article: str

    assert json.loads(to_json([Order(article="tea")])) == [{"article": "tea"}]


def test_messages_for_people() -> None:
    from langchain_core.messages import AIMessageChunk

    assert shown("messages", (AIMessageChunk("hi"), {"langgraph_node": "joke"})) == "'hi' from joke"
    assert shown("messages", ({"content": "hi"}, {"langgraph_node": "joke"})) == "'hi' from joke"
    assert shown("updates", {"a": 1}) == '{"a": 1}'
