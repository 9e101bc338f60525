"""What happens to a store in Redis: one function a transition, each a script, which is atomic.

A function makes a `Call`; `send` runs several in one round trip, in their order. All of them may be sent twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import redis
from redis.exceptions import NoScriptError

Value = bytes | str | int

SCAN: Final = 1000
"""How many items one call of `search` looks at: some 3 ms of Redis's time."""

PAGE_BYTES: Final = 4 << 20
"""After how many bytes of values a call of `search` stops: a page has at least one item, and hardly more than this."""

SWEEP: Final = 1000
"""How many expired items are cleared away at once: some 10 ms of Redis's time, in which it does nothing else."""

SWEEP_BESIDE: Final = 10
"""How many are cleared away at each put: more than one, so that their number shrinks as long as items are stored."""

PIPELINE: Final = 1000
"""How many calls go together: their answers are in memory at the same time."""


class Call(NamedTuple):
    """One call of a script."""

    script: str
    args: tuple[Value, ...]


class Position(NamedTuple):
    """Where a search stands in the index: the number of a namespace, that of the last item seen there."""

    namespace: Value
    item: Value


START: Final = Position("-inf", "")


class Row(NamedTuple):
    """An item as it is stored."""

    id: bytes
    value: bytes
    created: bytes
    """Microseconds since 1970."""
    updated: bytes
    embeddings: bytes


class Page(NamedTuple):
    """A part of what a search found."""

    more: bool
    position: Position
    skip: int
    """How many are still to be passed over."""
    rows: list[Row]


def get(item: bytes, *, refresh: bool) -> Call:
    """Read an item: its value, when it was created and when updated; None if there is none.

    `refresh` lets its time to live begin anew.
    """
    return Call("get", (item, int(refresh)))


def put(item: bytes, value: bytes, ttl: int | None, embeddings: bytes) -> Call:
    """Store an item, for `ttl` milliseconds after its last use or for ever."""
    return Call("put", (item, value, "" if ttl is None else ttl, embeddings, SWEEP_BESIDE))


def delete(item: bytes) -> Call:
    """Delete an item, if there is one."""
    return Call("delete", (item,))


def refresh(items: Iterable[bytes]) -> Call:
    """Let the time to live of items begin anew."""
    return Call("refresh", tuple(items))


def namespaces(top: bytes) -> Call:
    """List the namespaces at or below one. The answer None asks for the same call again."""
    return Call("namespaces", (top, SWEEP))


def search(top: bytes, position: Position, *, skip: int, take: int, refresh: bool) -> Call:
    """Read up to `take` items at or below a namespace, after those at `position`, and after the next `skip`."""
    return Call("search", (top, *position, skip, take, SCAN, PAGE_BYTES, int(refresh)))


def page(answer: Any) -> Page:
    """What a `search` answered."""
    more, namespace, item, skip, rows = answer
    return Page(more == 1, Position(namespace, item), skip, [Row(*row) for row in rows])


def send(client: redis.Redis, prefix: str, calls: Sequence[Call]) -> list[Any]:
    """Run calls in one round trip, or in one for each `PIPELINE` of them, and give their answers.

    Raises:
        redis.RedisError: That of the first call that failed; those after it were run all the same.
    """
    answers: list[Any] = []
    for start in range(0, len(calls), PIPELINE):
        some = calls[start : start + PIPELINE]
        found = _send(client, prefix, some)
        again = [place for place, answer in enumerate(found) if isinstance(answer, NoScriptError)]
        if again:
            # All scripts are loaded together and lost together, so those that ran came before those that did not.
            load(client)
            for place, answer in zip(again, _send(client, prefix, [some[place] for place in again]), strict=True):
                found[place] = answer
        answers += found
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _send(client: redis.Redis, prefix: str, calls: Sequence[Call]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:  # pyright: ignore[reportUnknownMemberType]
        for call in calls:
            pipe.execute_command("EVALSHA", _sha(call.script), 1, prefix, *call.args)  # pyright: ignore[reportUnknownMemberType]
        return pipe.execute(raise_on_error=False)


def load(client: redis.Redis) -> None:
    """Make all scripts known to the server. Happens by itself when one turns out to be missing."""
    with client.pipeline(transaction=False) as pipe:  # pyright: ignore[reportUnknownMemberType]
        for name in _SCRIPTS:
            pipe.execute_command("SCRIPT LOAD", _script(name))  # pyright: ignore[reportUnknownMemberType]
        pipe.execute()


_SCRIPTS: Final = ("get", "put", "delete", "refresh", "namespaces", "search")


@cache
def _script(name: str) -> str:
    """A script's text, with the parts it uses in their places."""
    folder = files("fleetgraph.store") / "scripts"
    return re.sub(
        r"^--@use (\w+)$",
        lambda match: (folder / "parts" / f"{match[1]}.lua").read_text("utf-8"),
        (folder / f"{name}.lua").read_text("utf-8"),
        flags=re.MULTILINE,
    )


@cache
def _sha(name: str) -> str:
    return hashlib.sha1(_script(name).encode(), usedforsecurity=False).hexdigest()
