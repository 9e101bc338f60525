"""`SqliteSaver`: files, connections, and what happens when things go wrong."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleetgraph.checkpoint.base import CheckpointLost
from fleetgraph.checkpoint.sqlite import SqliteSaver
from fleetgraph.errors import DecodeError, EncodeError
from tests.checkpoint.checkpoints import checkpoint, config, found, ids, put


@dataclass
class Point:
    x: int


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.sqlite"


@pytest.fixture
def saver(path: Path) -> Iterator[SqliteSaver]:
    with SqliteSaver(path) as saver:
        yield saver


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM fleetgraph_{table}").fetchone()[0]


def test_threads_outlive_the_process(path: Path) -> None:
    with SqliteSaver(path) as saver:
        put(saver, "a", {"x": [1]})
        saver.put_writes(config("a"), [("x", 2)], "task")
    with SqliteSaver.from_conn_string(str(path)) as saver:
        saver.setup()
        assert found(saver).checkpoint["channel_values"] == {"x": [1]}
        assert found(saver).pending_writes == [("task", "x", 2)]


def test_processes_may_share_a_file(saver: SqliteSaver, path: Path) -> None:
    code = (
        "import sys\n"
        "from fleetgraph.checkpoint.sqlite import SqliteSaver\n"
        "from tests.checkpoint.checkpoints import config\n"
        "with SqliteSaver(sys.argv[1]) as saver:\n"
        "    for i in range(50):\n"
        "        saver.put_writes(config('a'), [('x', i)], f'{sys.argv[2]}.{i:02}')\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    others = [subprocess.Popen([sys.executable, "-c", code, path, str(i)], env=environment) for i in range(2)]
    for i in range(50):
        saver.put_writes(config("a"), [("x", i)], f"here.{i:02}")
    assert [other.wait(50) for other in others] == [0, 0]
    put(saver, "a")
    assert len(found(saver).pending_writes or ()) == 150


def test_a_put_stores_what_changed(saver: SqliteSaver, path: Path) -> None:
    versions = {"big": "1", "count": "1"}
    saver.put(config(), checkpoint("a", {"big": "B", "count": 1}, versions), {}, versions)
    for i in range(5):
        changed = {"count": f"{i + 2}"}
        saver.put(config("a"), checkpoint(f"b{i}", {"big": "B", "count": i}, versions | changed), {}, changed)
    assert rows(path, "values") == 7
    saver.prune(["1"])
    assert (rows(path, "values"), rows(path, "checkpoints")) == (2, 1)
    saver.delete_thread("1")
    assert (rows(path, "values"), rows(path, "checkpoints"), rows(path, "writes")) == (0, 0, 0)


def test_the_file_may_hold_other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        connection.execute("CREATE TABLE checkpoints (mine)")
        connection.commit()
        with SqliteSaver(connection) as saver:
            put(saver, "a", {"x": 1})
        with SqliteSaver(path) as saver:
            assert found(saver).checkpoint["channel_values"] == {"x": 1}
        assert connection.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,)  # still open


async def test_in_memory_and_by_uri(path: Path) -> None:
    async with SqliteSaver(":memory:") as saver:
        await saver.aput(config(), checkpoint("a", {}, {}), {}, {})
        assert ids(saver) == ["a"]
    with SqliteSaver(f"file:{path}?mode=rwc") as saver:
        put(saver, "a")
    assert path.exists()


def test_a_file_that_is_none_of_sqlite_is_told(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        SqliteSaver(path)


def test_a_closed_saver_says_so(path: Path) -> None:
    with SqliteSaver(path) as saver:
        put(saver, "a")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        saver.get_tuple(config())


def test_what_fails_changes_nothing(saver: SqliteSaver) -> None:
    put(saver, "a", {"x": 1})
    with pytest.raises(EncodeError, match="channel 'p'"):
        put(saver, "b", {"x": 2, "p": Point(1)})
    with pytest.raises(sqlite3.Error):  # the values are stored by then
        saver.put(config("a"), checkpoint({}, {"x": 2}, {"x": "2"}), {}, {"x": "2"})  # type: ignore[arg-type]
    assert ids(saver) == ["a"]
    put(saver, "b", {"x": 2})
    assert ids(saver) == ["b", "a"]


def test_a_class_that_is_not_allowed_is_refused_and_says_what_to_do(saver: SqliteSaver, path: Path) -> None:
    saver.allow(Point)
    put(saver, "a", {"p": Point(1)})
    saver.put_writes(config("a"), [("p", Point(2))], "task")
    with SqliteSaver(path) as ignorant, pytest.raises(DecodeError, match=r"channel 'p'.*SqliteSaver\(\.\.\., types="):
        ignorant.get_tuple(config())
    with SqliteSaver(path, types=[Point]) as knowing:
        assert found(knowing).pending_writes == [("task", "p", Point(2))]


def test_a_value_that_was_deleted_by_hand_is_missed(saver: SqliteSaver, path: Path) -> None:
    put(saver, "a", {"x": 1}, ns="sub:1")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM fleetgraph_values")
    lost: Any
    with pytest.raises(CheckpointLost, match="namespace 'sub:1': its values of x are gone") as lost:
        saver.get_tuple(config(ns="sub:1"))
    assert (lost.value.thread, lost.value.ns, lost.value.checkpoint_id) == ("1", "sub:1", "a")
