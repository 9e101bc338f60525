"""The shapes of questions and answers that inboxes for agents, such as Agent Inbox, understand."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class HumanInterruptConfig(TypedDict):
    """What a person may do about a question."""

    allow_ignore: bool
    allow_respond: bool
    """Answer with text."""
    allow_edit: bool
    """Change what is asked for."""
    allow_accept: bool


class ActionRequest(TypedDict):
    """What an agent wants to do."""

    action: str
    args: dict[str, Any]


class HumanInterrupt(TypedDict):
    """A question, as it is passed to `interrupt`, in a list.

    Example:
        >>> [response] = interrupt([HumanInterrupt(action_request=..., config=..., description="May I?")])
    """

    action_request: ActionRequest
    config: HumanInterruptConfig
    description: str | None


class HumanResponse(TypedDict):
    """An answer."""

    type: Literal["accept", "ignore", "response", "edit"]
    args: str | ActionRequest | None
    """The text of a `response`, the changed request of an `edit`, None else."""
