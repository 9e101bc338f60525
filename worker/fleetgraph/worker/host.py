"""What a task that runs on a worker may ask of its run."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from fleetgraph.channels.base import MISSING
from fleetgraph.checkpoint.base import BaseCheckpointSaver
from fleetgraph.errors import EncodeError, FleetError
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.task import Call, Task
from fleetgraph.runtime import RunControl
from fleetgraph.types import Durability, TimeoutPolicy
from fleetgraph.wire.messages import TaskMessage
from fleetgraph.wire.remote import RemoteControl, RemoteSaver, RemoteStore
from fleetgraph.wire.requests import CALL, RESUME

Ask = Callable[[str, Any, str], "Future[Any]"]
"""Asks something of a kind, with a payload, that belongs to something; gives the answer to come."""


_IN_CALL: Final = re.compile(r"\$\[\d+\](?:\[2\]\[(\d+)\]|\[3\]\.(\w+))(.*)", re.DOTALL)
"""Where in a request to call a function an argument stands: by its number, or by its name; and where in that."""


def _parameter(call: Call, number: int) -> str:
    """What the `number`th argument of a call, from 0, is called; its number, counted from 1, if it has no name."""
    try:
        bound = inspect.signature(call.function).bind_partial(*call.args[: number + 1])
    except (TypeError, ValueError):  # it takes fewer, or is a builtin that does not say what it takes
        return str(number + 1)
    name = list(bound.arguments)[-1]
    kind = bound.signature.parameters[name].kind
    return str(number + 1) if kind is inspect.Parameter.VAR_POSITIONAL else name


class WorkerHost:
    """The `Host` of one attempt of a task.

    Args:
        message: The attempt.
        ask: Sends requests to the run's coordinator.
        store: The graph's own store, if every process of the fleet sees the same data in it.
        limit: Makes the time limit of a function.
        waiting: Told +1 when the attempt begins to wait for a task it has called, and -1 when that has ended: it needs
            no slot meanwhile.
    """

    def __init__(
        self,
        message: TaskMessage,
        ask: Ask,
        store: Any,
        limit: Callable[[TaskContext, TimeoutPolicy], AbstractContextManager[None]],
        waiting: Callable[[int], None],
    ) -> None:
        self._message = message
        self._ask = ask
        self._own_store = store
        self._limit = limit
        self._waiting = waiting
        self.abandoned = threading.Event()
        """Set when nobody waits for the attempt any longer."""
        self._control: RunControl | None = None
        self.durability: Durability = "exit" if message.more.get("exit") else "async"

    def _asked(self, kind: str, payload: Any) -> Any:
        return self._ask(kind, payload, self._whose(kind)).result()

    @property
    def saver(self) -> BaseCheckpointSaver | None:
        return RemoteSaver(self._asked) if self._message.more.get("saving") else None

    @property
    def store(self) -> Any:
        return RemoteStore(self._asked) if self._message.more.get("store") else self._own_store

    @property
    def control(self) -> RunControl:
        self._control = self._control or RemoteControl(self._asked)
        return self._control

    def claim_resume(self, task: Task) -> Any:
        if not self._message.more.get("asks"):
            return MISSING
        found = self._asked(RESUME, [task.id])
        return found[0] if found else MISSING

    def call(self, task: Task, index: int, call: Call) -> Future[Any]:
        payload = [index, call.reference, list(call.args), dict(call.kwargs)]
        self._waiting(1)
        try:
            future = self._ask(CALL, payload, self._whose(f"call of {call.name!r}"))
        except EncodeError as error:
            self._waiting(-1)
            raise self._of_argument(error, call) from None
        except BaseException:
            self._waiting(-1)
            raise
        future.add_done_callback(lambda _: self._waiting(-1))
        return future

    def _whose(self, what: str) -> str:
        return f"graph {self._message.graph.name!r}, node {self._message.name!r}, {what}"

    def _of_argument(self, error: EncodeError, call: Call) -> EncodeError:
        """The error of a call that can't travel, told by the argument instead of the place in the request."""
        found = _IN_CALL.fullmatch(error.path)
        if found is None:
            return error
        number, name, rest = found.groups()
        if number is not None:
            name = _parameter(call, int(number))
        return EncodeError(f"${rest}", error.kind, self._whose(f"argument {name} of {call.name!r}"), error.hint)

    def time_limit(self, running: TaskContext) -> AbstractContextManager[None]:
        timeout = running.task.timeout
        return nullcontext() if timeout is None else self._limit(running, timeout)

    def sleep(self, seconds: float) -> None:
        if self.abandoned.wait(seconds):
            raise FleetError("nobody waits for the task any longer")
