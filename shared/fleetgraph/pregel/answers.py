"""Questions to whoever runs a graph, and whether an answer fits."""

from __future__ import annotations

from typing import Any, cast

from fleetgraph.checkpoint.digests import digest
from fleetgraph.errors import INVALID_RESUME
from fleetgraph.types import Interrupt


class Question:
    """One call of `interrupt`.

    Args:
        schema: What the answer must be: None for anything, a JSON schema that is only passed on, or a class by which
            pydantic checks it.

    Raises:
        ImportError: It is a class, and pydantic is not installed.
    """

    def __init__(self, schema: Any) -> None:
        self._adapter: Any = None
        self._shown = schema
        if schema is not None and not isinstance(schema, dict):
            from pydantic import TypeAdapter

            self._adapter = TypeAdapter(schema)
            self._shown = self._adapter.json_schema()

    def asked(self, value: Any, interrupt_id: str) -> Interrupt:
        """The question as its reader is shown it."""
        return Interrupt(value, interrupt_id, self._shown)

    def checked(self, answer: Any) -> Any:
        """The answer in the form that the schema asks for.

        Raises:
            pydantic.ValidationError: It does not fit.
        """
        if self._adapter is None:
            return answer
        try:
            return self._adapter.validate_python(answer)
        except Exception as error:
            setattr(error, INVALID_RESUME, True)
            raise


def interrupt_id(ns: str, number: int, hash_name: str) -> str:
    """The id of the `number`th question, from 0, of the task with this namespace."""
    text = f"{ns}|{number}" if number else ns
    return digest(hash_name, text.encode())


def names_questions(answer: object) -> bool:
    """Whether what a run is resumed with is a mapping of answers by the ids of their questions."""
    ids = cast("dict[object, object]", answer) if isinstance(answer, dict) else {}
    return bool(ids) and all(map(_is_id, ids))


def _is_id(text: object) -> bool:
    return isinstance(text, str) and len(text) == 32 and all(digit in "0123456789abcdef" for digit in text)
