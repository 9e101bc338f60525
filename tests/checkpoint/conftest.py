"""Every saver, as a fixture: what holds for one has to hold for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest

from fleetgraph.checkpoint.base import BaseCheckpointSaver
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.checkpoint.sqlite import SqliteSaver

SAVERS = ["memory", "sqlite", "fake redis", "redis"]


@pytest.fixture(params=SAVERS)
def saver(request: pytest.FixtureRequest) -> Iterator[BaseCheckpointSaver]:
    """An empty saver, of each kind in turn."""
    match request.param:
        case "memory":
            yield InMemorySaver()
        case "sqlite":
            path: Path = request.getfixturevalue("tmp_path")
            with SqliteSaver(path / "threads.sqlite") as saver:
                yield saver
        case "fake redis":
            with fakeredis.FakeRedis() as client:
                yield RedisSaver(client)
        case _:
            with RedisSaver(request.getfixturevalue("redis_url")) as saver:
                yield saver
