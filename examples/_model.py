"""The chat model of the examples: a real one if OPENAI_BASE_URL is set, else one that recites its lines."""

from __future__ import annotations

import os
from itertools import repeat

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel


def chat_model(recites: str, tags: list[str] | None = None) -> BaseChatModel:
    """A chat model that streams its answer; without a server, the answer is `recites`, a word at a time."""
    if "OPENAI_BASE_URL" in os.environ:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), tags=tags)
    return GenericFakeChatModel(messages=repeat(recites), tags=tags)
