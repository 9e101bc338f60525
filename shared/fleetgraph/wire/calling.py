"""Calling Redis: commands and scripts as values, run one by one or many in one round trip.

A script that fails has changed nothing; one whose answer got lost may have been run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from redis.exceptions import NoScriptError, RedisError

from fleetgraph.wire import keys
from fleetgraph.wire.exchange import Line, ask, borrowed

if TYPE_CHECKING:
    from redis import Redis

Value = bytes | str | int | float
"""What Redis takes as a word of a command."""

INCOMPLETE = b"incomplete"
"""What a script answers when something that has to precede it has not taken place. Then it has changed nothing."""

_READS = frozenset({"LRANGE", "HMGET"})
"""Plain commands that read what scripts before them change."""

_LOADINGS = 3
"""How often scripts are loaded for one batch of calls, at most."""

T = TypeVar("T")


@dataclass(slots=True)  # a frozen one takes several times as long to make, and every task makes many
class Call(Generic[T]):
    """One command, ready to be sent."""

    words: tuple[Value, ...]
    parse: Callable[[Any], T]
    """Makes the result out of Redis's answer."""


def command(*words: Value) -> Call[Any]:
    """A plain Redis command, to go along with transitions in one round trip."""
    return Call(words, lambda answer: answer)


def execute(redis: Redis, call: Call[T]) -> T:
    """Run one call.

    Raises:
        redis.RedisError: It did not run, or its answer got lost.
    """
    (result,) = try_all(redis, [call])
    if isinstance(result, Exception):
        raise result
    return result


def execute_all(redis: Redis, calls: Sequence[Call[Any]]) -> list[Any]:
    """Run several calls in one round trip, and return their results.

    Raises:
        redis.RedisError: That of the first call that failed; those after it were run all the same.
    """
    results = try_all(redis, calls)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def try_all(via: Redis | Line, calls: Sequence[Call[Any]]) -> list[Any]:
    """Like `execute_all`, with its error in the place of the result of a call that failed.

    Args:
        via: A client, of whose connections one is taken; or a line.
        calls: What to run.

    Raises:
        redis.RedisError: The connection failed: nobody knows which of them ran.
    """
    return results_of(via, calls, _send(via, calls))


def results_of(via: Redis | Line, calls: Sequence[Call[Any]], answers: list[Any]) -> list[Any]:
    """The results of calls that were sent; those whose script Redis did not know are sent again, with it.

    Raises:
        redis.RedisError: The connection failed, then.
    """
    for _ in range(_LOADINGS):
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if not unknown:
            break
        load(via.redis if isinstance(via, Line) else via)
        # Another process may have loaded the scripts while Redis was in the middle of these calls. Then some ran that
        # came too early: they have refused, or have read what was there before.
        again = [i for i in range(unknown[0], len(calls)) if _came_too_early(calls[i], answers[i])]
        for i, answer in zip(again, _send(via, [calls[i] for i in again]), strict=True):
            answers[i] = answer
    return [
        answer if isinstance(answer, RedisError) else call.parse(answer)
        for call, answer in zip(calls, answers, strict=True)
    ]


def _came_too_early(call: Call[Any], answer: Any) -> bool:
    return isinstance(answer, NoScriptError) or answer == INCOMPLETE or call.words[0] in _READS


def _send(via: Redis | Line, calls: Sequence[Call[Any]]) -> list[Any]:
    words = [call.words for call in calls]
    if isinstance(via, Line):
        return via.ask(words)
    with borrowed(via) as connection:
        return ask(connection, words)


def load(redis: Redis) -> None:
    """Make all scripts known to the server. Happens by itself when one turns out to be missing."""
    with redis.pipeline(transaction=True) as pipe:  # pyright: ignore[reportUnknownMemberType]
        for name in _SCRIPTS:
            pipe.execute_command("SCRIPT LOAD", _script(name))  # pyright: ignore[reportUnknownMemberType]
        pipe.execute()


_SCRIPTS = (
    *("publish", "dispatch", "claim", "adopt", "finish", "ask", "heartbeat", "lost", "cancel", "renew"),
    *("open", "start", "close", "advance", "hold", "take", "recall", "retire", "store"),
)

_TEMPLATES = {
    "run": keys.run("%s"),
    "log": keys.log("%s"),
    "seen": keys.seen("%s"),
    "sent": keys.sent("%s"),
    "tasks": keys.tasks("%s"),
    "journal": keys.journal("%s"),
    "values": keys.values("%s"),
    "thread": keys.thread("%s", "%s"),
    "inbox": keys.inbox("%s"),
    "leases": keys.leases("%s"),
    "queue": keys.rq_queue("%s"),
    "intermediate": keys.rq_intermediate("%s"),
    "job": keys.rq_job("%s"),
    "started": keys.rq_started("%s"),
    "failed": keys.rq_failed("%s"),
    "results": keys.rq_results("%s"),
    "executions": keys.rq_executions("%s"),
    "execution": keys.rq_execution("%s", "%s"),
    "worker": keys.rq_worker("%s"),
    "worker_executions": keys.rq_worker_executions("%s"),
    "suspended": keys.rq_suspended(),
    "waiting": keys.waiting("%s"),
    "handed": keys.handed("%s"),
}
"""The keys that a script can't be given, since it finds out which ones it needs while it runs."""


def script_names() -> dict[str, str]:
    """The name of each script, by what Redis knows it as: its SHA-1."""
    return {_sha(name): name for name in _SCRIPTS}


@cache
def _script(name: str) -> str:
    """A script's text, with the key templates it uses on top and the parts it uses in their places."""
    folder = files("fleetgraph.wire") / "scripts"
    text = (folder / f"{name}.lua").read_text("utf-8")
    body = re.sub(
        r"^--@use (\w+)$",
        lambda match: (folder / "parts" / f"{match[1]}.lua").read_text("utf-8"),
        text,
        flags=re.MULTILINE,
    )
    used = sorted(set(re.findall(r"\bkey\.(\w+)", body)))  # the table is made whenever the script runs
    table = ", ".join(f"{name} = '{_TEMPLATES[name]}'" for name in used)
    return f"local key = {{ {table} }}\n{body}"


@cache
def _sha(name: str) -> str:
    return hashlib.sha1(_script(name).encode(), usedforsecurity=False).hexdigest()


def script(name: str, script_keys: Sequence[str], args: Sequence[Value], parse: Callable[[Any], T]) -> Call[T]:
    """A call of the script of that name, in the folder `scripts`."""
    return Call(("EVALSHA", _sha(name), len(script_keys), *script_keys, *args), parse)


@cache
def seconds(span: timedelta) -> int:
    """A span as Redis takes it, where 0 would mean at once."""
    return max(1, int(span.total_seconds()))
