"""LangChain's events as signs of progress, for idle timeouts."""

# pyright: basic

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from fleetgraph.stream.langchain import ProgressHandler


class Running:
    """As much of a task as the handler knows."""

    def __init__(self) -> None:
        self.signs = 0

    def touch(self) -> None:
        self.signs += 1


@tool
def echo(text: str) -> str:
    """Say it again."""
    return text


@tool
def broken(text: str) -> str:
    """Fail."""
    raise ValueError(text)


WORK: dict[str, tuple[Callable[[Any], Any], int]] = {
    "chat_model": (lambda config: GenericFakeChatModel(messages=iter(["a b"])).invoke("?", config), 2),
    "tokens": (lambda config: list(GenericFakeChatModel(messages=iter(["a b"])).stream("?", config)), 5),
    "model": (lambda config: FakeListLLM(responses=["a"]).invoke("?", config), 2),
    "chain": (lambda config: RunnableLambda(lambda text: text).invoke("?", config), 2),
    "tool": (lambda config: echo.invoke("?", config), 2),
    "failing_tool": (lambda config: broken.invoke("?", config), 2),
}


@pytest.mark.parametrize("kind", WORK)
def test_signs(kind: str) -> None:
    work, signs = WORK[kind]
    running: Any = Running()
    try:
        work({"callbacks": [ProgressHandler(running)]})
    except ValueError:
        assert kind == "failing_tool"
    assert running.signs == signs
