"""The saver, the store and the control of a run, as a task on a worker sees them: each call is a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from fleetgraph.runtime import RunControl
from fleetgraph.store.base import BaseStore, GetOp, Item, ListNamespacesOp, MatchCondition, PutOp, SearchItem, SearchOp
from fleetgraph.wire.requests import DRAIN, SAVER, STORE, plain_operations

Ask = Callable[[str, Any], Any]
"""Sends a request of a kind, and returns the answer once it is there."""


class RemoteSaver(BaseCheckpointSaver):
    """The run's saver, for graphs that a task runs."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def _call(self, method: str, *arguments: Any) -> Any:
        return self._ask(SAVER, [method, list(arguments)])

    def get_tuple(self, config: Mapping[str, Any]) -> CheckpointTuple | None:
        found = self._call("get_tuple", _named(config))
        return None if found is None else _tuple(found)

    def list(
        self,
        config: Mapping[str, Any] | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        found = self._call("list", None if config is None else _named(config), filter, before, limit)
        return iter([_tuple(one) for one in found])

    def put(
        self,
        config: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        return self._call("put", _named(config), dict(checkpoint), dict(metadata), dict(new_versions))

    def put_writes(
        self, config: Mapping[str, Any], writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._call("put_writes", _named(config), [list(write) for write in writes], task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        self._call("delete_thread", thread_id)


def _named(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config that names a checkpoint."""
    configurable: Mapping[str, Any] = config["configurable"]
    kept = ("thread_id", "checkpoint_ns", "checkpoint_id")
    return {"configurable": {key: configurable[key] for key in kept if key in configurable}}


def _tuple(plain: Sequence[Any]) -> CheckpointTuple:
    config, checkpoint, metadata, parent, writes = plain
    return CheckpointTuple(config, checkpoint, metadata, parent, [tuple(write) for write in writes])


def serve_saver(saver: BaseCheckpointSaver, payload: Sequence[Any]) -> Any:
    """Do with the saver what a request asks; the coordinator's side of `RemoteSaver`."""
    method, arguments = payload
    match method:
        case "get_tuple":
            found = saver.get_tuple(*arguments)
            return None if found is None else _plain_tuple(found)
        case "list":
            config, filter, before, limit = arguments
            return [_plain_tuple(one) for one in saver.list(config, filter=filter, before=before, limit=limit)]
        case "put_writes":
            config, writes, *rest = arguments
            return saver.put_writes(config, [tuple(write) for write in writes], *rest)
        case "put":
            return dict(saver.put(*arguments))
        case "delete_thread":
            return saver.delete_thread(*arguments)
        case _:
            raise ValueError(f"a saver has no method {method!r} that a task may call")


def _plain_tuple(found: CheckpointTuple) -> list[Any]:
    writes = [list(write) for write in found.pending_writes or ()]
    parent = None if found.parent_config is None else dict(found.parent_config)
    return [dict(found.config), dict(found.checkpoint), dict(found.metadata), parent, writes]


class RemoteControl(RunControl):
    """The run's control."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._ask = ask

    def request_drain(self, reason: str = "shutdown") -> None:
        super().request_drain(reason)
        self._ask(DRAIN, reason)


class RemoteStore(BaseStore):
    """The run's store."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def batch(self, ops: Iterable[Any]) -> list[Any]:
        answers = self._ask(STORE, plain_operations(list(ops)))
        return [_built_result(answer) for answer in answers]

    async def abatch(self, ops: Iterable[Any]) -> list[Any]:
        import asyncio

        return await asyncio.to_thread(self.batch, list(ops))


_OPERATIONS = {op.__name__: op for op in (GetOp, PutOp, SearchOp, ListNamespacesOp)}


def serve_store(store: BaseStore, payload: Sequence[Any]) -> list[Any]:
    """Do with the store what a request asks; the coordinator's side of `RemoteStore`."""
    return [_plain_result(result) for result in store.batch([_operation(*plain) for plain in payload])]


def _operation(name: str, *fields: Any) -> Any:
    if name == "ListNamespacesOp" and fields and fields[0]:
        conditions = tuple(MatchCondition(kind, tuple(path)) for kind, path in fields[0])
        return ListNamespacesOp(conditions, *fields[1:])
    return _OPERATIONS[name](*fields)


def _plain_result(result: Any) -> Any:
    if isinstance(result, Item):
        score = [result.score] if isinstance(result, SearchItem) else []
        return ["item", list(result.namespace), result.key, result.value, result.created_at, result.updated_at, *score]
    if isinstance(result, list):
        return ["list", *(_plain_result(one) for one in cast("list[Any]", result))]
    return ["plain", result]


def _built_result(plain: Sequence[Any]) -> Any:
    kind, *rest = plain
    if kind == "list":
        return [_built_result(one) for one in rest]
    if kind == "plain":
        return rest[0]
    namespace, key, value, created_at, updated_at, *score = rest
    if score:
        return SearchItem(tuple(namespace), key, value, created_at, updated_at, score[0])
    return Item(namespace=tuple(namespace), key=key, value=value, created_at=created_at, updated_at=updated_at)
