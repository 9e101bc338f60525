"""A reader is cut off by Redis for being slow, or is gone for a while."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleetgraph.errors import EventsLost
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.failures.conftest import until
from tests.fleet import gates
from tests.fleet.graphs import talk
from tests.fleet.observing import Watched, cut_subscribers, new_key
from tests.fleet.processes import Process, environment, started

TALK = "tests.fleet.graphs.talk:graph"

READER = """
import json, sys
from fleetgraph.client.subscription import Subscription
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.connection import connect

url, run = sys.argv[1:]
with connect(url) as client, Subscription(client, run, Codec(), lambda: None) as events:
    print("subscribed", flush=True)
    try:
        for event in events:
            print(json.dumps([event.seq, event.mode]), flush=True)
    except Exception as error:
        print(json.dumps(["error", type(error).__name__, str(error)]), flush=True)
"""


@pytest.fixture
def strict(server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that cuts a subscriber with 64 kB unread at once, and trims logs to the letter."""
    with RedisServer() as own:
        with own.client() as client:
            client.config_set("client-output-buffer-limit", "pubsub 64kb 0 0")
            client.config_set("stream-node-max-entries", 1)
        yield own


def reader_of(url: str, run: str) -> Process:
    return Process([sys.executable, "-c", READER, url, run], environment())


@pytest.mark.timeout(120)
def test_it_catches_up_from_the_log(
    start_worker: Callable[..., Any], strict: RedisServer, queue: str, figure: Callable[..., None]
) -> None:
    start_worker(TALK, url=strict.url)
    key, words = new_key(), 100
    with strict.client() as client, Fleet(strict.url, queue=queue) as fleet:
        # More than the sockets between them can hold.
        given = {"key": key, "words": words, "pauses": [1], "size": 400_000, "said": 0}
        stream = talk.graph.on(fleet).stream(given, stream_mode=["custom", "tasks"])
        chunks = [next(stream)]  # and then this reader does not read
        run = Watched(client)
        reader = reader_of(strict.url, run.id)
        with started(reader):
            assert reader.output.readline() == "subscribed\n"
            reader.signal(signal.SIGSTOP)  # and that one is gone
            gates.open(f"{key}:1")
            until(lambda: run.status == "success", "the end of the run")
            until(lambda: run.listeners == 0, "the cut")
            back = time.monotonic()
            reader.signal(signal.SIGCONT)
            heard = [json.loads(line) for line in reader.output]
            figure("seconds to catch up with 100 events of 400 kB", time.monotonic() - back)
        chunks += stream
        last = run.last_seq
    assert [payload["word"] for mode, payload in chunks if mode == "custom" and payload != "the end"] == list(
        range(1, words + 1)
    )
    assert [seq for seq, _ in heard] == list(range(1, last + 1))
    assert heard[-1][1] == "run"


@pytest.mark.timeout(120)
def test_what_was_trimmed_meanwhile_is_named(start_worker: Callable[..., Any], strict: RedisServer, queue: str) -> None:
    start_worker(TALK, url=strict.url)
    key, words = new_key(), 30
    with strict.client() as client, Fleet(strict.url, queue=queue, log_events=5) as fleet:
        given = {"key": key, "words": words, "pauses": list(range(1, words + 2)), "size": 1, "said": 0}
        stream = talk.graph.on(fleet).stream(given, stream_mode=["custom", "tasks"])
        chunks = [next(stream)]
        run = Watched(client)
        reader = reader_of(strict.url, run.id)
        with started(reader):
            assert reader.output.readline() == "subscribed\n"
            until(lambda: gates.arrived(f"{key}:1"), "the node")
            heard = [json.loads(reader.output.readline())]
            reader.signal(signal.SIGSTOP)
            assert cut_subscribers(client) == 2
            for word in range(1, words + 2):  # one by one, so that each is a message of its own
                before = run.last_seq
                gates.open(f"{key}:{word}")
                until(lambda before=before: run.last_seq > before, "an event")
            until(lambda: run.status == "success", "the end of the run")
            reader.signal(signal.SIGCONT)
            heard += [json.loads(line) for line in reader.output]
        kept = int(client.xrange(keys.log(run.id), count=1)[0][0].split(b"-")[0])
        with pytest.raises(EventsLost) as caught:
            chunks += stream
    assert heard[:-1] == [[1, "tasks"]]
    what, kind, text = heard[-1]
    assert (what, kind) == ("error", "EventsLost")
    assert text.startswith(f"run {run.id}: events 2 to ")
    assert caught.value.first == 2
    assert caught.value.last is not None
    assert caught.value.first < caught.value.last < kept
