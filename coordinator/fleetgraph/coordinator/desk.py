"""The desk: where a coordinator takes the calls of clients, and replies.

Redis is the only thing between the two. A call is taken off the list and done once, however often it arrives: a client
that hears nothing sends it again. What has not been taken off when this process dies is taken over with its runs.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import repeat
from typing import Any, Final, TypeVar, cast

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from fleetgraph.coordinator.coordinator import Commission, Coordinator, Multitask
from fleetgraph.coordinator.patience import patiently
from fleetgraph.errors import DecodeError, FleetError, GraphNotFound, NotSupported, RedisUnavailable
from fleetgraph.graph.compiled import CompiledGraph
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command, execute_all, seconds
from fleetgraph.wire.calls import CALL_TTL, ClientCall, Method, Reply, decode_call, encode_reply
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.encryption import FILE_VARIABLE, KEY_VARIABLE, is_sealed
from fleetgraph.wire.messages import GraphRef, Order
from fleetgraph.wire.outages import Backoff, persistently

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 1
"""How long it waits for a call before it looks whether it is to stop."""

STATE_THREADS: Final = 8
"""How many calls about threads' states are worked on at once: savers are slow beside everything else here."""

CALLS_AT_ONCE: Final = 100
"""Calls taken at once, if so many have come."""

_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
"""Run ids become parts of keys."""

_REPLIES_KEPT: Final = timedelta(minutes=1)
"""How long replies are kept for clients that ask again: longer than they try to."""

_NOTHING: Final = type(None)

_PLAIN: Final = Codec(cipher=None)
"""For clients that have no key."""

_OPTIONS: Final[Mapping[str, tuple[type[Any], ...]]] = {
    "context": (),
    "output_keys": (str, list, _NOTHING),
    "interrupt_before": (str, list, _NOTHING),
    "interrupt_after": (str, list, _NOTHING),
    "durability": (str, _NOTHING),
    "subgraphs": (bool,),
}
"""The arguments of `graph.stream` that a client passes on as they are, and what they may be."""

T = TypeVar("T")


class Desk:
    """Answers the calls of clients to one coordinator, in threads of its own.

    Args:
        client: The Redis.
        coordinator: Who begins and cancels runs.
        queue: Where the tasks of the runs go.
    """

    def __init__(self, client: Redis, coordinator: Coordinator, queue: str) -> None:
        self._client = client
        self._coordinator = coordinator
        self._queue = queue
        self._stopping = threading.Event()
        self._backoff = Backoff(f"desk of coordinator {coordinator.id}")
        self._pool = ThreadPoolExecutor(STATE_THREADS, "fleetgraph-desk")
        self._thread = threading.Thread(target=self._main, name="fleetgraph-desk", daemon=True)
        self._lock = threading.Lock()
        self._doing: set[str] = set()
        """Ids of the calls that are worked on."""
        self._replies: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        """By call: when it was replied to, and how; the oldest first."""
        self.failure: BaseException | None = None
        """What stopped it, if it was not `stop`."""

    def start(self) -> None:
        """Begin to take calls."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more calls; return when those that were taken have been replied to."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown()

    # --- taking calls ------------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            while not self._stopping.is_set():
                self._take(self._persistently(self._next) or [])
        except BaseException as error:
            told = isinstance(error, NoPermissionError)  # which says it all
            logger.error("the desk of coordinator %s stopped: %s", self._coordinator.id, error, exc_info=not told)
            self.failure = error

    def _next(self) -> list[bytes]:
        """The calls that have come; if there are none, the next one, if it comes soon."""
        untyped: Any = self._client
        key = keys.calls(self._coordinator.id)
        if calls := untyped.lpop(key, CALLS_AT_ONCE):
            return calls
        popped = untyped.blpop(key, POLL_SECONDS)
        return [] if popped is None else [popped[1]]

    def _persistently(self, do: Callable[[], T]) -> T | None:
        return persistently(do, self._backoff, self._stopping.wait)

    def _take(self, batch: list[bytes]) -> None:
        """Do what is asked, runs that are submitted one after the other in one go."""
        submitted: list[ClientCall] = []
        for data in batch:
            if (call := self._admitted(data)) is None:
                continue
            if call.method == Method.SUBMIT:
                submitted.append(call)
            elif call.method == Method.CANCEL:  # in their order, and soon done
                self._submit(submitted)
                submitted = []
                self._do(call)
            else:
                self._pool.submit(self._do, call)
        self._submit(submitted)

    def _admitted(self, data: bytes) -> ClientCall | None:
        """The call in these bytes; None if there is none, or none that is to be worked on."""
        try:
            call = decode_call(data)
        except DecodeError as error:
            logger.error("coordinator %s: threw away an unreadable call: %s", self._coordinator.id, error)
            return None
        codec = self._coordinator.registry.codec
        if codec.encrypts and not is_sealed(call.payload):
            # In clear, since whoever sent this could not read it otherwise.
            self._send([(call, encode_reply(_PLAIN, Reply(call.id, None, self._needs_key()), ""))])
            return None
        with self._lock:
            if call.id in self._doing:
                return None  # it is asked again, and will hear
            known = self._replies.get(call.id)
            if known is None:
                self._doing.add(call.id)
        if known is not None:
            self._send([(call, known[1])])
            return None
        return call

    def _submit(self, calls: Sequence[ClientCall]) -> None:
        """Begin the runs that clients submit."""
        if not calls:
            return
        asked = [self._commission(call) for call in calls]
        commissions = [one for one in asked if isinstance(one, Commission)]
        try:
            ended: Iterator[BaseException | None] = iter(
                patiently(partial(self._coordinator.order, commissions), self._bear)
            )
        except RedisError as failed:
            if self._stopping.is_set():
                self._leave(calls)
                return
            ended = repeat(self._failed(Method.SUBMIT, failed))
        except FleetError as closed:
            ended = repeat(closed)
        errors = [next(ended) if isinstance(one, Commission) else one for one in asked]
        self._reply([(call, None, error) for call, error in zip(calls, errors, strict=True)])

    def _do(self, call: ClientCall) -> None:
        error: BaseException | None = None
        value: Any = None
        try:
            if call.method == Method.UPDATE_STATE:
                value = self._answer(call)
            else:  # which may be done twice
                value = patiently(partial(self._answer, call), self._bear)
        except (RedisError, RedisUnavailable) as failed:
            if self._stopping.is_set() and call.method != Method.UPDATE_STATE:
                self._leave([call])
                return
            error = self._failed(call.method, failed)
        except BaseException as failed:  # reducers and path functions are user code: whatever they raise is the reply
            error = failed
        self._reply([(call, value, error)])

    def _leave(self, calls: Sequence[ClientCall]) -> None:
        """Let clients ask another coordinator, when they see that this one goes."""
        with self._lock:
            self._doing.difference_update(call.id for call in calls)

    def _failed(self, method: str, error: Exception) -> FleetError:
        return FleetError(f"Coordinator {self._coordinator.id} could not do {method}: Redis: {error}")

    def _reply(self, ended: Sequence[tuple[ClientCall, Any, BaseException | None]]) -> None:
        """Tell clients what became of their calls: the value of each, or what it raised."""
        codec = self._coordinator.registry.codec
        replies = [
            (call, encode_reply(codec, Reply(call.id, value, error), f"reply to {call.method}"))
            for call, value, error in ended
        ]
        with self._lock:
            for call, reply in replies:
                if call.method in (Method.SUBMIT, Method.CANCEL, Method.UPDATE_STATE):
                    self._keep(call.id, reply)  # the others may be done again
                self._doing.discard(call.id)
        try:
            self._send(replies)
        except RedisError as failed:
            logger.warning("coordinator %s: could not reply to calls: %s", self._coordinator.id, failed)

    def _bear(self, error: Exception) -> bool:
        return not self._stopping.wait(self._backoff.failed(error))

    def _keep(self, id: str, reply: bytes) -> None:
        now = time.monotonic()
        self._replies[id] = (now, reply)
        while now - next(iter(self._replies.values()))[0] > _REPLIES_KEPT.total_seconds():
            self._replies.popitem(last=False)

    def _send(self, replies: Iterable[tuple[ClientCall, bytes]]) -> None:
        words: list[Call[Any]] = []
        for call, reply in replies:
            key = keys.reply(call.id)
            words += (command("RPUSH", key, reply), command("EXPIRE", key, seconds(CALL_TTL)))
        self._persistently(lambda: execute_all(self._client, words))

    def _needs_key(self) -> FleetError:
        return FleetError(
            f"Coordinator {self._coordinator.id} encrypts values, and takes no calls that are not encrypted: this "
            f"client has no key. Set {KEY_VARIABLE} or {FILE_VARIABLE} for it to what the coordinator has. Nothing was "
            "done."
        )

    # --- answering them ----------------------------------------------------------------------------------------------

    def _asked(self, call: ClientCall) -> _Payload:
        try:
            decoded = self._coordinator.registry.codec.decode(call.payload)
        except DecodeError as error:
            raise DecodeError(f"Coordinator {self._coordinator.id} can't read what the client sent: {error}") from error
        if not isinstance(decoded, dict):
            raise FleetError(f"The payload of a call is a map, not a {type(decoded).__name__}.")
        return _Payload(call.method, cast("dict[str, Any]", decoded))

    def _answer(self, call: ClientCall) -> Any:
        asked = self._asked(call)
        match call.method:
            case Method.CANCEL:
                return self._coordinator.cancel_run(asked.run_id())
            case Method.GET_STATE:
                graph = self._graph(asked)[1]
                return graph.get_state(asked.take("config", dict), subgraphs=asked.take("subgraphs", bool))
            case Method.GET_STATE_HISTORY:
                return self._history(asked)
            case Method.UPDATE_STATE:
                graph = self._graph(asked)[1]
                as_node = asked.take("as_node", str, _NOTHING)
                return graph.update_state(asked.take("config", dict), asked.take("values"), as_node)
            case method:
                raise NotSupported(f"the call {method!r}; is the client newer than its coordinator?")

    def _commission(self, call: ClientCall) -> Commission | Exception:
        """What a client submits; or what is wrong with it."""
        try:
            asked = self._asked(call)
            run = asked.run_id()
            ref, graph = self._graph(asked)
            options: dict[str, Any] = {name: asked.take(name, *kinds) for name, kinds in _OPTIONS.items()}
            options["stream_mode"] = asked.take("modes", list)
            if asked.take("whole", bool) and options["output_keys"] is None:
                options["output_keys"] = graph.program.output_keys
            order = Order(
                run=run,
                graph=ref,
                queue=self._queue,
                input=asked.take("input"),
                config=asked.take("config", dict, _NOTHING) or {},
                options=options,
                asynchronous=asked.take("asynchronous", bool),
                begun=time.time(),
            )
            return Commission(order, Multitask(asked.take("multitask_strategy", str)), asked.needs_reader())
        except Exception as error:
            return error

    def _history(self, asked: _Payload) -> list[Any]:
        graph = self._graph(asked)[1]
        return list(
            graph.get_state_history(
                asked.take("config", dict),
                filter=asked.take("filter", dict, _NOTHING),
                before=asked.take("before", dict, _NOTHING),
                limit=asked.take("limit", int, _NOTHING),
            )
        )

    def _graph(self, asked: _Payload) -> tuple[GraphRef, CompiledGraph]:
        """A graph, and its name: a graph with several is always called by the first, which all its workers know."""
        name = asked.take("graph", str)
        registry = self._coordinator.registry
        known = {name: GraphRef(name, fingerprint) for name, fingerprint in registry.fingerprints.items()}
        if name not in known:
            raise GraphNotFound(
                f"Coordinator {self._coordinator.id} has no graph {name!r}; it has: {', '.join(known) or 'none'}."
            )
        graph = registry.find(known[name])
        return next(ref for ref in known.values() if registry.find(ref) is graph), graph


class _Payload:
    """What a call carries. It comes from outside, so that nothing about its shape is certain."""

    def __init__(self, method: str, items: Mapping[str, Any]) -> None:
        self._method = method
        self._items = items

    def take(self, name: str, *kinds: type[Any]) -> Any:
        """One of its items.

        Raises:
            FleetError: It is missing, or of none of these kinds.
        """
        if name not in self._items:
            raise FleetError(f"The call {self._method!r} lacks {name!r}.")
        item = self._items[name]
        if kinds and not isinstance(item, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise FleetError(f"{name!r} of the call {self._method!r} is a {wanted}, not a {type(item).__name__}.")
        return item

    def needs_reader(self) -> bool:
        """Whether its run is to be cancelled when nobody reads it any more. Older clients do not say.

        Raises:
            FleetError: It says something else.
        """
        given = self._items.get("on_disconnect", "continue")
        if given not in ("cancel", "continue"):
            raise FleetError(f"'on_disconnect' of the call {self._method!r} is 'cancel' or 'continue', not {given!r}.")
        return given == "cancel"

    def run_id(self) -> str:
        """The id of the run it is about.

        Raises:
            FleetError: It is none.
        """
        run = self.take("run", str)
        if not _RUN_ID.fullmatch(run):
            raise FleetError(f"{run!r} is no run id: 32 hexadecimal digits.")
        return run
