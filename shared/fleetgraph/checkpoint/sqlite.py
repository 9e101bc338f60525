"""A saver that keeps threads in an SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any, Final, Self

from fleetgraph.checkpoint.base import (
    CheckpointTuple,
    Config,
    Grown,
    Place,
    PruneStrategy,
    Write,
    check_strategy,
    place_of,
    selection,
    write_index,
)
from fleetgraph.checkpoint.encoding import METADATA, EncodingSaver, StoredWrite
from fleetgraph.checkpoint.growth import LONGEST_HEAD, base_of

BUSY_SECONDS: Final = 30.0
"""How long to wait for another process that writes to the file; a transaction takes milliseconds."""

_TABLES: Final = ("fleetgraph_checkpoints", "fleetgraph_values", "fleetgraph_writes")

# `version` has no type, so that it stays the text or number that it is.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS fleetgraph_checkpoints (
    thread TEXT NOT NULL, ns TEXT NOT NULL, id TEXT NOT NULL, head BLOB NOT NULL, metadata BLOB NOT NULL,
    PRIMARY KEY (thread, ns, id)
);
CREATE TABLE IF NOT EXISTS fleetgraph_values (
    thread TEXT NOT NULL, ns TEXT NOT NULL, channel TEXT NOT NULL, version NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (thread, ns, channel, version)
);
CREATE TABLE IF NOT EXISTS fleetgraph_writes (
    thread TEXT NOT NULL, ns TEXT NOT NULL, id TEXT NOT NULL, task TEXT NOT NULL, place INTEGER NOT NULL,
    path TEXT NOT NULL, channel TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (thread, ns, id, task, place)
);
"""


class SqliteSaver(EncodingSaver):
    """Keeps threads in an SQLite file, for graphs that run in the processes of one machine.

    The async methods run in a thread; any number of threads may share a saver, and processes the file, which may also
    hold other tables. Each `put` is one transaction, and stores what the superstep changed.

    Example:
        >>> with SqliteSaver("threads.sqlite") as saver:
        ...     graph = builder.compile(checkpointer=saver)

    Args:
        database: Path of the file, made if there is none; `":memory:"`; a `file:` URI; or a connection, which stays
            open when the saver is closed, and must be made with `check_same_thread=False`.
        types: Classes whose values may be saved and loaded, beside those of the graphs' schemas. See `allow`.

    Raises:
        sqlite3.Error: The file can't be opened, or is none of SQLite's.
    """

    def __init__(self, database: str | PathLike[str] | sqlite3.Connection, *, types: Iterable[type[Any]] = ()) -> None:
        super().__init__(types)
        self._owned = not isinstance(database, sqlite3.Connection)
        self._connection = database if isinstance(database, sqlite3.Connection) else _connect(fspath(database))
        self._lock = threading.Lock()
        try:
            self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
            self._connection.executescript(_SCHEMA)
        except BaseException:
            self.close()
            raise

    @classmethod
    @contextmanager
    def from_conn_string(cls, conn_string: str, **options: Any) -> Generator[Self, None, None]:
        """A saver for the file at this path, closed in the end; `options` are those of the class."""
        with cls(conn_string, **options) as saver:
            yield saver

    def setup(self) -> None:
        """Do nothing: the tables are made with the saver. For code written for LangGraph's."""

    def close(self) -> None:
        """Close the file. A connection that the saver was given stays open."""
        if self._owned:
            with self._lock:
                self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    # --- reading -------------------------------------------------------------------------------------------------

    def get_tuple(self, config: Config) -> CheckpointTuple | None:
        thread, ns, checkpoint_id = place_of(config)
        which = "id = ?" if checkpoint_id else "? ORDER BY id DESC LIMIT 1"
        with self._transaction("DEFERRED") as connection:
            row = connection.execute(
                f"SELECT id, head, metadata FROM fleetgraph_checkpoints WHERE thread = ? AND ns = ? AND {which}",
                (thread, ns, checkpoint_id or True),
            ).fetchone()
            if row is None:
                return None
            place = Place(thread, ns, row[0])
            head = self._decode_head(row[1], place)
            values: dict[tuple[str, str], bytes | None] = {}
            for name, version in head.filled:
                self._gather(connection, place, name, version, values)
            writes = connection.execute(
                "SELECT path, task, place, channel, value FROM fleetgraph_writes "
                "WHERE thread = ? AND ns = ? AND id = ?",
                place,
            ).fetchall()
        written = [StoredWrite(*write) for write in writes]
        metadata = self._decode(row[2], place, METADATA)
        return self._tuple(place, head, metadata, lambda name, version: values.get((name, version)), written)

    def _gather(
        self,
        connection: sqlite3.Connection,
        place: Place,
        channel: str,
        version: Any,
        values: dict[tuple[str, str], bytes | None],
    ) -> None:
        """Read what is stored of a channel under a version, and what that rests on."""
        while version is not None and (channel, str(version)) not in values:
            data = values[channel, str(version)] = self._value(connection, place, channel, version)
            version = base_of(data or b"")

    def _value(self, connection: sqlite3.Connection, place: Place, channel: str, version: Any) -> bytes | None:
        row = connection.execute(
            "SELECT value FROM fleetgraph_values WHERE thread = ? AND ns = ? AND channel = ? AND version = ?",
            (place.thread, place.ns, channel, version),
        ).fetchone()
        return None if row is None else row[0]

    def list(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        wanted = selection(config, filter, before)
        narrowed = {"thread =": wanted.thread, "ns =": wanted.ns, "id =": wanted.checkpoint_id, "id <": wanted.before}
        terms = {term: value for term, value in narrowed.items() if value is not None}
        where = " AND ".join(["TRUE", *(f"{term} ?" for term in terms)])
        # Without a filter SQLite may stop early; with one, only we can tell what matches.
        most = -1 if limit is None or wanted.filter else max(limit, 0)
        with self._transaction("DEFERRED") as connection:
            rows = connection.execute(
                f"SELECT thread, ns, id, metadata FROM fleetgraph_checkpoints WHERE {where} ORDER BY id DESC LIMIT ?",
                (*terms.values(), most),
            ).fetchall()
        left = len(rows) if limit is None else limit
        for *names, metadata in rows:
            place = Place(*names)
            if left <= 0:
                return
            if wanted.filter and not wanted.has_metadata(self._decode(metadata, place, METADATA)):
                continue
            if found := self.get_tuple(place.config):  # it may have been deleted meanwhile
                left -= 1
                yield found

    # --- writing -------------------------------------------------------------------------------------------------

    def put(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
        *,
        grown: Grown | None = None,
    ) -> Config:
        place = place_of(config)
        encoded = self._encode(place, checkpoint, metadata, new_versions, grown)
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO fleetgraph_values VALUES (?, ?, ?, ?, ?)",
                [(place.thread, place.ns, *value) for value in encoded.values],
            )
            connection.execute(
                "INSERT OR REPLACE INTO fleetgraph_checkpoints VALUES (?, ?, ?, ?, ?)",
                (place.thread, place.ns, encoded.id, encoded.head, encoded.metadata),
            )
        return place.at(encoded.id).config

    def put_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        thread, ns, _ = place_of(config)
        checkpoint_id = config["configurable"]["checkpoint_id"]
        rows = [
            (thread, ns, checkpoint_id, task_id, index, task_path, channel, self._encode_write(channel, value))
            for position, (channel, value) in enumerate(writes)
            for index in (write_index(channel, position),)
        ]
        with self._transaction() as connection:
            for row in rows:
                how = "REPLACE" if row[4] < 0 else "IGNORE"
                connection.execute(f"INSERT OR {how} INTO fleetgraph_writes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def delete_thread(self, thread_id: str) -> None:
        self._standings.forget(str(thread_id))
        with self._transaction() as connection:
            _delete_thread(connection, str(thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        source, target = str(source_thread_id), str(target_thread_id)
        if source == target:
            return
        self._standings.forget(target)
        with self._transaction() as connection:
            _delete_thread(connection, target)
            for table in _TABLES:
                columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()[1:])
                connection.execute(
                    f"INSERT INTO {table} SELECT ?, {columns} FROM {table} WHERE thread = ?", (target, source)
                )

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        check_strategy(strategy)
        with self._transaction() as connection:
            for thread in map(str, thread_ids):
                if strategy == "delete":
                    _delete_thread(connection, thread)
                    continue
                old = connection.execute(
                    "SELECT thread, ns, id FROM fleetgraph_checkpoints AS one WHERE thread = ? AND id < "
                    "(SELECT max(id) FROM fleetgraph_checkpoints WHERE thread = one.thread AND ns = one.ns)",
                    (thread,),
                ).fetchall()
                self._forget(connection, [Place(*row) for row in old])

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        wanted = set(run_ids)
        with self._transaction() as connection:
            places = [
                place
                for *names, metadata in connection.execute(
                    "SELECT thread, ns, id, metadata FROM fleetgraph_checkpoints"
                )
                if self._decode(metadata, place := Place(*names), METADATA).get("run_id") in wanted
            ]
            self._forget(connection, places)

    def _forget(self, connection: sqlite3.Connection, places: Sequence[Place]) -> None:
        """Forget checkpoints, what was written beside them, and values that no other checkpoint has."""
        self._standings.forget()
        for table in ("fleetgraph_checkpoints", "fleetgraph_writes"):
            connection.executemany(f"DELETE FROM {table} WHERE thread = ? AND ns = ? AND id = ?", places)
        for thread, ns in {(place.thread, place.ns) for place in places}:
            heads = connection.execute(
                "SELECT id, head FROM fleetgraph_checkpoints WHERE thread = ? AND ns = ?", (thread, ns)
            ).fetchall()
            filled = {item for id, data in heads for item in self._decode_head(data, Place(thread, ns, id)).filled}
            stored = {
                (channel, version): base_of(start)
                for channel, version, start in connection.execute(
                    f"SELECT channel, version, substr(value, 1, {LONGEST_HEAD}) FROM fleetgraph_values "
                    "WHERE thread = ? AND ns = ?",
                    (thread, ns),
                )
            }
            used: set[tuple[str, Any]] = set()
            for channel, version in filled:
                while version is not None and (channel, version) not in used:
                    used.add((channel, version))
                    version = stored.get((channel, version))
            connection.executemany(
                "DELETE FROM fleetgraph_values WHERE thread = ? AND ns = ? AND channel = ? AND version = ?",
                [(thread, ns, *item) for item in stored if item not in used],
            )

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Generator[sqlite3.Connection, None, None]:
        """What is done inside takes place as a whole or not at all, and sees nothing of what others do meanwhile.

        One that will write says so at once: two that found out in the middle would have to give up one.
        """
        with self._lock:
            connection = self._connection
            connection.execute(f"BEGIN {kind}")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, uri=path.startswith("file:"))


def _delete_thread(connection: sqlite3.Connection, thread: str) -> None:
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table} WHERE thread = ?", (thread,))


__all__ = ["SqliteSaver"]
