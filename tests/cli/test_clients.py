"""`fleetgraph run`, `join`, `runs`, `cancel` and `state`, as people and as programs use them."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from fleetgraph.client import Client
from fleetgraph.coordinator.readers import GRACE_SECONDS
from fleetgraph.redis_server import RedisServer
from tests.cli.conftest import Fleetgraph, run_command
from tests.client import graphs
from tests.fleet import gates
from tests.fleet.observing import new_key
from tests.fleet.processes import Process, environment, started
from tests.waiting import wait_until

TEA = '{"topic": "tea", "log": []}'


def held(key: str) -> str:
    return json.dumps({"key": key, "log": []})


# --- run -------------------------------------------------------------------------------------------------------------


def test_run_prints_chunks(fleetgraph: Fleetgraph) -> None:
    done = fleetgraph("run", "family", "--input", '{"log": []}', "--mode", "updates", "custom")
    assert done.status == 0
    assert done.lines == [
        'custom       "top speaks"',
        'updates      {"top": {"log": ["top"]}}',
        'updates      {"child": {"log": ["top", "before", "top", "before", "deep"]}}',
    ]
    run, status = done.errors.splitlines()
    assert run.startswith("run ")
    assert status == "success"


def test_run_prints_json(fleetgraph: Fleetgraph) -> None:
    done = fleetgraph("run", "family", "--input", '{"log": []}', "--mode", "updates", "custom", "--subgraphs", "--json")
    first, *parts, last = done.objects
    assert (done.status, done.errors) == (0, "")
    assert last == {"type": "run", "run": first["run"], "status": "success"}
    assert [part["seq"] for part in parts] == sorted(part["seq"] for part in parts)
    assert {len(part["ns"]) for part in parts} == {0, 1, 2}
    here = graphs.family.stream({"log": []}, stream_mode=["updates", "custom"], subgraphs=True)
    assert [(part["type"], part["data"]) for part in parts] == [(mode, data) for _, mode, data in here]


def test_an_input_from_a_file(fleetgraph: Fleetgraph, tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_text('{"log": ["from a file"]}')
    done = fleetgraph("run", "family", "--input", f"@{path}", "--mode", "values", "--json")
    assert done.objects[1]["data"] == {"log": ["from a file"]}


def test_a_question_and_its_answer(fleetgraph: Fleetgraph) -> None:
    thread = new_key()
    asked = fleetgraph("run", "asking", "--thread", thread, "--input", TEA)
    assert asked.status == 0
    assert 'It asks: {"ok?": "tea"}' in asked.errors
    assert f"Answer: fleetgraph run asking --thread {thread} --resume JSON" in asked.errors
    answered = fleetgraph("run", "asking", "--thread", thread, "--resume", '"fine"', "--json")
    assert [part.get("data") for part in answered.objects] == [None, {"review": {"log": ["review: fine"]}}, None]
    assert answered.objects[-1]["status"] == "success"


def test_a_breakpoint_is_passed_without_an_input(fleetgraph: Fleetgraph, client: Client) -> None:
    thread = new_key()
    config: Any = {"configurable": {"thread_id": thread}}
    client.invoke("asking", {"topic": "tea", "log": []}, config, interrupt_before=["think"])
    done = fleetgraph("run", "asking", "--thread", thread, "--mode", "updates")
    assert done.lines[0] == 'updates      {"think": {"log": ["thought of tea"]}}'


def test_a_run_that_fails(fleetgraph: Fleetgraph) -> None:
    arguments = ("run", "tests.fleet.graphs.failing:graph", "--input", '{"how": "builtin"}', "--mode", "custom")
    done = fleetgraph(*arguments)
    assert done.status == 1
    assert done.lines == ['custom       "about to fail"']
    assert done.errors.splitlines()[-1].endswith("failed: ValueError: no such number: 42")
    as_json = fleetgraph(*arguments, "--json")
    assert as_json.status == 1
    assert as_json.objects[-1]["status"] == "error"
    assert as_json.objects[-1]["error"] == "ValueError: no such number: 42"


def test_detached(fleetgraph: Fleetgraph, client: Client) -> None:
    key = new_key()
    done = fleetgraph("run", "holding", "--thread", key, "--input", held(key), "--mode", "custom", "--detach")
    (run,) = done.lines
    assert (done.status, done.errors) == (0, "")
    gates.open(key)
    assert list(client.join(run)) == [("custom", "holds"), ("custom", "goes on"), ("custom", "after")]
    (as_json,) = fleetgraph("run", "family", "--input", '{"log": []}', "--detach", "--json").objects
    assert client.get_run(as_json["run"]).graph == "tests.client.graphs:family"


@pytest.mark.parametrize("options", [[], ["--on-disconnect", "continue"]], ids=["cancel", "continue"])
def test_ctrl_c(server: RedisServer, client: Client, options: list[str]) -> None:
    key = new_key()
    command = [
        "run",
        "holding",
        "--thread",
        key,
        "--input",
        held(key),
        "--mode",
        "custom",
        "values",
        "--json",
        *options,
    ]
    process = Process([sys.executable, "-m", "fleetgraph.cli", *command, "--redis", server.url], environment())
    with started(process):
        run = json.loads(process.output.readline())["run"]
        wait_until(lambda: gates.arrived(key))
        process.signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.errors == ""
    assert client.get_run(run).status == ("running" if options else "cancelled")
    gates.open(key)
    if options:
        assert client.handle(run).result()["log"] == [key, "after 1"]


@pytest.mark.long
def test_a_command_that_is_killed_takes_its_run_along(server: RedisServer, client: Client) -> None:
    """With the terminal that it ran in, say."""
    command = ["run", "holding", "--thread", (key := new_key()), "--input", held(key), "--json"]
    process = Process([sys.executable, "-m", "fleetgraph.cli", *command, "--redis", server.url], environment())
    with started(process):
        run = json.loads(process.output.readline())["run"]
        wait_until(lambda: gates.arrived(key))
        process.signal(signal.SIGHUP)
        process.wait()
    wait_until(lambda: client.get_run(run).status == "cancelled", GRACE_SECONDS + 5)
    gates.open(key)


def test_a_reader_that_has_seen_enough(server: RedisServer, client: Client) -> None:
    key = new_key()
    command = ["run", "holding", "--thread", key, "--input", held(key), "--mode", "custom", "--json"]
    process = Process([sys.executable, "-m", "fleetgraph.cli", *command, "--redis", server.url], environment())
    with started(process):
        run = json.loads(process.output.readline())["run"]
        process.output.close()
        gates.open(key)
        assert process.wait() == 1
        assert process.errors == ""
    assert client.get_run(run).over


def test_a_busy_thread(fleetgraph: Fleetgraph, client: Client) -> None:
    key = new_key()
    thread: Any = {"configurable": {"thread_id": key}}
    run = client.submit("holding", {"key": key, "log": []}, thread)
    done = fleetgraph("run", "holding", "--thread", key, "--input", held(key), "--strategy", "reject")
    assert done.status == 1
    assert f"is busy with run {run.id}" in done.errors
    gates.open(key)
    run.result()


# --- join, runs, cancel ----------------------------------------------------------------------------------------------


def test_join(fleetgraph: Fleetgraph, client: Client) -> None:
    run = client.submit("family", {"log": []}, stream_mode=["custom", "updates"], subgraphs=True)
    list(run.join())
    everything = fleetgraph("join", run.id)
    assert everything.status == 0
    assert everything.lines[0] == 'custom       "top speaks"'
    one = fleetgraph("join", run.id, "--mode", "custom", "--subgraphs", "--ns", "child", "inner", "--json").objects
    assert [part.get("data") for part in one] == [None, "deep speaks", None]
    behind = fleetgraph("join", run.id, "--after", str(one[1]["seq"]), "--mode", "custom", "--subgraphs", "--json")
    assert [part["type"] for part in behind.objects] == ["run", "run"]
    beyond = fleetgraph("join", run.id, "--after", "1000")
    assert beyond.status == 1
    assert f"run {run.id} can be joined after 0 to {client.get_run(run.id).seq}, not after 1000" in beyond.errors


def test_runs(fleetgraph: Fleetgraph, client: Client) -> None:
    thread: Any = {"configurable": {"thread_id": new_key()}}
    good, asked = client.submit("family", {"log": []}), client.submit("asking", {"topic": "tea", "log": []}, thread)
    bad = client.submit("tests.fleet.graphs.failing:graph", {"how": "builtin"})
    for run in (good, asked):
        run.result()
    with pytest.raises(ValueError, match="42"):
        bad.result()
    table = fleetgraph("runs", "--limit", "3").lines
    assert table[0].split() == ["RUN", "STATUS", "GRAPH", "THREAD", "CREATED", "EVENTS", "ERROR"]
    shown = {line.split()[0]: line.split() for line in table[1:]}
    assert shown.keys() == {good.id, asked.id, bad.id}
    assert shown[asked.id][1:4] == ["interrupted", "tests.client.graphs:asking", thread["configurable"]["thread_id"]]
    assert "no such number: 42" in " ".join(shown[bad.id])
    (newest,) = fleetgraph("runs", "--status", "error", "cancelled", "--limit", "1", "--json").objects
    assert (newest["id"], newest["status"]) == (bad.id, "error")
    assert len(fleetgraph("runs", "--graph", "nobody's").lines) == 1


def test_cancel(fleetgraph: Fleetgraph, client: Client) -> None:
    key = new_key()
    thread: Any = {"configurable": {"thread_id": key}}
    run = client.submit("holding", {"key": key, "log": []}, thread)
    wait_until(lambda: gates.arrived(key))
    done = fleetgraph("cancel", run.id)
    assert (done.status, done.output) == (0, f"run {run.id} is cancelled\n")
    assert run.status() == "cancelled"
    again = fleetgraph("cancel", run.id, "--json")
    assert again.objects == [{"type": "run", "run": run.id, "cancelled": False}]
    joined = fleetgraph("join", run.id)
    assert joined.status == 1
    assert joined.errors.endswith(f"fleetgraph: run {run.id} was cancelled\n")
    gates.open(key)


# --- state -----------------------------------------------------------------------------------------------------------


def test_state(fleetgraph: Fleetgraph, client: Client) -> None:
    thread = new_key()
    config: Any = {"configurable": {"thread_id": thread}}
    client.invoke("asking", {"topic": "tea", "log": []}, config)
    done = fleetgraph("state", "asking", "--thread", thread)
    assert done.status == 0
    assert [line.split()[0] for line in done.lines] == ["checkpoint", "created", "next", "asks", "topic", "log"]
    assert done.lines[2:] == [
        "next        review",
        'asks        {"ok?": "tea"}',
        '  topic = "tea"',
        '  log = ["thought of tea"]',
    ]
    (snapshot,) = fleetgraph("state", "asking", "--thread", thread, "--json").objects
    assert snapshot["values"] == {"topic": "tea", "log": ["thought of tea"]}
    assert snapshot["next"] == ["review"]
    history = fleetgraph("state", "asking", "--thread", thread, "--history", "--json").objects
    assert [one["next"] for one in history] == [["review"], ["think"], ["__start__"]]
    assert (
        fleetgraph("state", "asking", "--thread", thread, "--history", "--limit", "2").output.count("checkpoint") == 2
    )


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run", "nope"), "No live coordinator has a graph 'nope'; there is: "),
        (("run", "graph"), "'graph' may be one of several graphs"),
        (("run", "asking", "--input", "{}"), "asking keeps its state in threads: name the one to run it in, with"),
        (("run", "asking", "--input", "{}", "--detach", "--config", '{"tags": ["x"]}'), "with --thread ID"),
        (("run", "asking", "--config", '{"configurable": {"x": 1}}'), "with --thread ID"),
        (("run", "family", "--config", '{"recursion_limit": "9"}'), "recursion_limit must be a number, at least 1"),
        (("state", "family", "--thread", "1"), "No checkpointer set"),
        (("join", "0" * 32), f"there is no run {'0' * 32} in Redis"),
        (("cancel", "0" * 32), f"there is no run {'0' * 32} in Redis"),
    ],
    ids=str,
)
def test_one_clear_line(fleetgraph: Fleetgraph, arguments: tuple[str, ...], text: str) -> None:
    done = fleetgraph(*arguments)
    assert done.status == 1
    (line,) = done.errors.splitlines()
    assert line.startswith("fleetgraph: ")
    assert text in line
    assert done.output == ""


@pytest.mark.parametrize("command", [("run", "g"), ("join", "0" * 32), ("runs",), ("state", "g", "--thread", "1")])
@pytest.mark.long
def test_no_redis(command: tuple[str, ...]) -> None:
    done = run_command(*command, "--redis", "redis://:secret@127.0.0.1:1/0")
    assert done.status == 1
    assert done.errors.splitlines()[-1].startswith("fleetgraph: no Redis answers at redis://:***@127.0.0.1:1/0: ")
    assert "secret" not in done.errors


def test_no_coordinator(redis_url: str) -> None:
    done = run_command("run", "g", "--redis", redis_url)
    assert done.status == 1
    assert "No coordinator answers calls on that Redis. Start one: fleetgraph coordinator" in done.errors


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run", "g", "--input", "{"), "argument --input: not JSON"),
        (("run", "g", "--input", "@nowhere"), "argument --input: nowhere: No such file"),
        (("run", "g", "--input", "1", "--resume", "1"), "not allowed with"),
        (("run", "g", "--config", "[]"), "must be a JSON object"),
        (("run", "g", "--mode", "nope"), "invalid choice: 'nope'"),
        (("runs", "--status", "nope"), "invalid choice: 'nope'"),
        (("runs", "--limit", "0"), "must be at least 1"),
        (("state", "g"), "required: --thread"),
    ],
    ids=str,
)
def test_what_argparse_refuses(arguments: tuple[str, ...], text: str) -> None:
    done = run_command(*arguments)
    assert done.status == 2
    assert text in done.errors
