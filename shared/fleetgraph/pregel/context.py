"""The task that the current thread or coroutine is running."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fleetgraph.channels.base import MISSING
from fleetgraph.errors import GraphInterrupt
from fleetgraph.pregel.answers import Question, interrupt_id
from fleetgraph.pregel.labels import task_config, task_metadata
from fleetgraph.pregel.reserved import RESUME
from fleetgraph.pregel.task import Call, Emitter, Host, Task, Write

if TYPE_CHECKING:
    from concurrent.futures import Future

    from fleetgraph.pregel.program import NodeProgram
    from fleetgraph.runtime import Runtime


class TaskContext:
    """A running task, what it was started with, and what it may ask for; most tasks ask for none of it."""

    def __init__(self, task: Task, node: NodeProgram, emit: Emitter, host: Host) -> None:
        self.task = task
        self.node = node
        self.emit = emit
        self.host = host
        self.on_loop = False
        """Whether it is run from an event loop, as by the async methods of a graph."""
        self.attempt = 1
        self.first_attempt_time = time.time()
        self.graphs = itertools.count()
        """Counts the graphs it runs itself, each of which has a namespace of its own."""
        self._replayed: set[str] = set()
        self._claimed = False
        self._asking = threading.Lock()
        self.begin_attempt()

    def begin_attempt(self) -> None:
        """Start, or start over with the answers so far."""
        self.last_progress = time.monotonic()
        """When it last showed that it gets on; what an idle timeout counts from."""
        self.extra_writes: list[Write] = []
        """What its code wrote by the way; it goes before what follows from its return value."""
        self._calls = itertools.count()
        self._questions = itertools.count()
        self._answered = 0

    # --- what its code asks for ----------------------------------------------------------------------------------

    def ask(self, value: Any, response_schema: Any) -> Any:
        """The answer to the task's next question.

        Raises:
            GraphInterrupt: There is none yet.
            pydantic.ValidationError: It does not fit the schema.
        """
        question = Question(response_schema)
        with self._asking:  # threads of one task ask one after the other: each answer is one question's
            return self._answer(question, value)

    def _answer(self, question: Question, value: Any) -> Any:
        number, answers = next(self._questions), self.task.answers
        if number < len(answers):
            answer = question.checked(answers[number])
            self._answered = max(self._answered, number + 1)
            return answer
        given = MISSING if self._claimed else self.host.claim_resume(self.task)
        if given is MISSING:
            key = interrupt_id(self.task.ns, len(answers), self.task.frame.digest)
            raise GraphInterrupt((question.asked(value, key),))
        self._claimed = True
        answer = question.checked(given)
        answers.append(given)
        self._answered = len(answers)
        return answer

    @property
    def given_answers(self) -> list[Write]:
        """A record of the answers its code has been given, if any."""
        return [(RESUME, self.task.answers[: self._answered])] if self._answered else []

    def call(self, call: Call) -> Future[Any]:
        """Run a function as a task of its own."""
        self.touch()
        return self.host.call(self.task, next(self._calls), call)

    def looks_before(self, ns: str) -> str | None:
        """Before which checkpoint of the outermost graph a graph that its code calls is to look for its thread.

        Only the first time, and only where a run replays an earlier one; None for the latest.
        """
        place = ns.rpartition(":")[0] or ns
        if not self.task.first_in_replay or place in self._replayed:
            return None
        self._replayed.add(place)
        return self.task.frame.replaying

    def touch(self) -> None:
        """Show that it gets on."""
        self.last_progress = time.monotonic()

    def heartbeat(self) -> None:
        """Show that it gets on, whatever its timeout counts as a sign of that."""
        self.last_heartbeat = self.last_progress = time.monotonic()

    last_heartbeat: float | None = None

    @cached_property
    def writer(self) -> Callable[[Any], None]:
        """Emits a `custom` chunk, or does nothing when nobody asked for those."""
        return self._custom if "custom" in self.emit.modes else self._discard

    def _custom(self, payload: Any) -> None:
        self.touch()
        self.emit.custom(payload)

    def _discard(self, _: Any) -> None:
        self.touch()

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The run's and the node's metadata, and where the task stands."""
        return task_metadata(self.task)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The run's config as this task's node sees it: what runs inside has names of its own, and the usual limit."""
        from fleetgraph.config import DEFAULT_RECURSION_LIMIT

        config = task_config(self.task)
        config.pop("run_name", None)
        if config.get("recursion_limit") == DEFAULT_RECURSION_LIMIT:
            del config["recursion_limit"]
        return config

    @property
    def runtime(self) -> Runtime[Any]:
        """A fresh view, since a retry changes the attempt."""
        from fleetgraph.runtime import ExecutionInfo, Runtime

        task = self.task
        configurable = task.frame.config.get("configurable", {})
        run_id = task.frame.config.get("run_id")
        return Runtime(
            context=task.frame.context,
            store=self.host.store,
            stream_writer=self.writer,
            previous=task.previous,
            heartbeat=self.heartbeat,
            control=self.host.control,
            execution_info=ExecutionInfo(
                checkpoint_id=task.checkpoint_id,
                checkpoint_ns=task.ns,
                task_id=task.id,
                thread_id=configurable.get("thread_id"),
                run_id=None if run_id is None else str(run_id),
                node_attempt=self.attempt,
                node_first_attempt_time=self.first_attempt_time,
            ),
        )


_current: ContextVar[TaskContext | None] = ContextVar("fleetgraph_task", default=None)


def current() -> TaskContext:
    """The running task's context.

    Raises:
        RuntimeError: Nothing is running here.
    """
    context = _current.get()
    if context is None:
        raise RuntimeError("Called get_config outside of a runnable context")
    return context


surrounding = _current.get
"""The running task's context; None outside of a task."""
enter = _current.set
leave = _current.reset
