"""The command `fleetgraph`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fleetgraph.cli.arguments import NOTHING, json_object, json_value, positive
from fleetgraph.errors import FleetgraphError, RemoteTraceback
from fleetgraph.types import STREAM_MODES
from fleetgraph.wire.connection import DEFAULT_URL, URL_VARIABLE, url_of_environment
from fleetgraph.wire.roles import CACHE_PREFIX, SAVER_PREFIX, STORE_PREFIX, Role
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION, RunStatus


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except FleetgraphError as error:
        print(f"fleetgraph: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if not isinstance(error.__cause__, RemoteTraceback):
            raise
        # What user code raised elsewhere: people who sit here know nothing of that code.
        print(f"fleetgraph: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleetgraph", description="State graphs on a fleet of machines: Redis-queued workers, live streams."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    worker = commands.add_parser("worker", help="run nodes of graphs", description="Run nodes of graphs.")
    worker.add_argument(
        "graphs", nargs="+", metavar="GRAPH", help="module:attribute, file.py:attribute or langgraph.json[:name]"
    )
    _add_redis(worker)
    worker.add_argument("--queue", default="fleetgraph", help="the queue to listen on; default: %(default)s")
    worker.add_argument("--concurrency", type=positive, default=8, metavar="N", help="tasks at once; default: 8")
    worker.add_argument("--name", help="what the worker is called; must differ from all others'")
    worker.add_argument(
        "--lease",
        type=float,
        default=3.0,
        metavar="SECONDS",
        help="silence after which the worker's tasks go to another; more than any node holds the interpreter's lock; "
        "default: 3",
    )
    worker.add_argument("--owned", action="store_true", help=argparse.SUPPRESS)
    worker.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    worker.set_defaults(run=_run_worker)

    demo = commands.add_parser(
        "demo",
        help="watch a graph run on worker processes, chunk by chunk",
        description="Run the streaming guide's graph on two worker processes and print every mode's chunks.",
    )
    demo.add_argument("--redis", metavar="URL", help="use this Redis and the workers that listen on it")
    demo.set_defaults(run=_run_demo)

    _add_services(commands)
    _add_clients(commands)
    _add_acl(commands)
    return parser


def _add_services(commands: Any) -> None:
    coordinator = commands.add_parser(
        "coordinator",
        help="drive runs that clients submit",
        description="Drive runs that clients submit. Any number of coordinators can share a Redis: what one of them "
        "leaves behind, the others go on with.",
    )
    _add_graphs(coordinator)
    _add_redis(coordinator)
    _add_queue(coordinator)
    _add_limits(coordinator)
    coordinator.set_defaults(run=_run_coordinator)

    dev = commands.add_parser(
        "dev",
        help="a Redis, a coordinator and workers on this machine",
        description="Start a Redis, unless --redis names one, a coordinator and workers, all on this machine. Ctrl-C "
        "ends them.",
    )
    _add_graphs(dev)
    dev.add_argument("--workers", type=positive, default=2, metavar="N", help="worker processes; default: 2")
    dev.add_argument("--concurrency", type=positive, default=8, metavar="N", help="tasks of each at once; default: 8")
    dev.add_argument("--redis", metavar="URL", help="use this Redis; by default one is started")
    _add_queue(dev)
    _add_limits(dev)
    dev.set_defaults(run=_run_dev)


def _add_clients(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run a graph through a coordinator",
        description="Run a graph through a coordinator and print chunks while it runs. Ctrl-C cancels the run.",
    )
    run.add_argument(
        "graph", metavar="GRAPH", help="its name: module:attribute, or the attribute, or a langgraph.json's"
    )
    given = run.add_mutually_exclusive_group()
    given.add_argument(
        "--input", type=json_value, default=NOTHING, metavar="JSON", help="the input, or @FILE; none continues a thread"
    )
    given.add_argument(
        "--resume", type=json_value, default=NOTHING, metavar="JSON", help="the answer to what the thread waits for"
    )
    run.add_argument("--thread", metavar="ID", help="the thread, of a graph that has a checkpointer")
    run.add_argument("--config", type=json_object, metavar="JSON", help="further items of the config, or @FILE")
    _add_modes(run, default=["updates"], text="what to print; default: updates")
    run.add_argument("--subgraphs", action="store_true", help="print chunks of graphs in nodes, too")
    run.add_argument("--detach", action="store_true", help="only start it and print its id")
    run.add_argument(
        "--strategy",
        choices=["enqueue", "reject", "interrupt"],
        default="enqueue",
        help="while another run of the thread goes on: wait, fail, or cancel it; default: %(default)s",
    )
    run.add_argument(
        "--on-disconnect",
        choices=["cancel", "continue"],
        default="cancel",
        help="what becomes of it at Ctrl-C, or when this command is killed; default: %(default)s",
    )
    _add_client(run)
    run.set_defaults(run=_run_run)

    join = commands.add_parser(
        "join",
        help="print the chunks of a run that was started elsewhere",
        description="Print the chunks of a run: those so far, and those to come. Ctrl-C leaves the run alone.",
    )
    join.add_argument("id", metavar="RUN", help="its id")
    join.add_argument("--after", type=int, default=0, metavar="N", help="the last event that is known; default: 0")
    _add_modes(join, default=None, text="what to print, among what it streams; default: all of it")
    join.add_argument("--subgraphs", action="store_true", help="print chunks of graphs in nodes, too")
    join.add_argument(
        "--ns", nargs="+", metavar="NODE", help="only chunks of the graph in these nodes, from outside in"
    )
    _add_client(join)
    join.set_defaults(run=_run_join)

    runs = commands.add_parser("runs", help="list runs", description="List runs, the newest first.")
    runs.add_argument("--status", nargs="+", choices=[status.value for status in RunStatus], help="only these")
    runs.add_argument("--graph", help="only this graph's")
    runs.add_argument("--limit", type=positive, default=20, metavar="N", help="how many; default: %(default)s")
    _add_client(runs)
    runs.set_defaults(run=_run_runs)

    cancel = commands.add_parser("cancel", help="cancel a run", description="Cancel a run.")
    cancel.add_argument("id", metavar="RUN", help="its id")
    _add_client(cancel)
    cancel.set_defaults(run=_run_cancel)

    state = commands.add_parser("state", help="print a thread's state", description="Print a thread's state.")
    state.add_argument("graph", metavar="GRAPH", help="the name of the graph")
    state.add_argument("--thread", metavar="ID", required=True, help="the thread")
    state.add_argument("--history", action="store_true", help="its former states as well, the newest first")
    state.add_argument("--limit", type=positive, metavar="N", help="how many of them")
    _add_client(state)
    state.set_defaults(run=_run_state)

    watch = commands.add_parser(
        "watch",
        help="watch runs, tasks, workers and queues live",
        description="Watch runs, their tasks, workers, queues and coordinators. It only reads. Ctrl-C ends it.",
    )
    _add_client(watch)
    watch.add_argument(
        "--queue", action="append", default=[], help="only this queue and what belongs to it; may be repeated"
    )
    watch.add_argument("--once", action="store_true", help="show it once, and end")
    watch.add_argument(
        "--interval",
        type=_interval,
        default=1.0,
        metavar="SECONDS",
        help="between two looks at Redis; default: %(default)s",
    )
    watch.set_defaults(run=_run_watch)


def _add_acl(commands: Any) -> None:
    acl = commands.add_parser(
        "acl",
        help="print the rights that a role needs in Redis",
        description="Print the command that gives a user of Redis the rights of a role, and no others; to be sent with "
        "redis-cli. Passwords are left as they are: a new user needs one to log in (ACL SETUSER NAME >PASSWORD).",
    )
    acl.add_argument("role", choices=[role.value for role in Role], metavar="ROLE", help=", ".join(Role))
    acl.add_argument("--user", metavar="NAME", help="what the user is called; default: fleetgraph-ROLE")
    for name, kind, prefix in (
        ("saver", "RedisSaver", SAVER_PREFIX),
        ("store", "RedisStore", STORE_PREFIX),
        ("cache", "RedisCache", CACHE_PREFIX),
    ):
        acl.add_argument(
            f"--{name}",
            action="append",
            nargs="?",
            const=prefix,
            default=[],
            metavar="PREFIX",
            help=f"that it uses a {kind} with this prefix; default: {prefix}",
        )
    acl.add_argument("--redis6", action="store_true", help="for Redis 6.2, where rights are coarser")
    acl.set_defaults(run=_run_acl)


def _add_graphs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "graphs", nargs="+", metavar="GRAPH", help="module:attribute, file.py:attribute or langgraph.json[:name]"
    )


def _add_redis(parser: argparse.ArgumentParser) -> None:
    # The default is not shown: it may hold a password.
    help = f"default: the environment's {URL_VARIABLE}, else {DEFAULT_URL}"
    parser.add_argument("--redis", metavar="URL", default=url_of_environment(), help=help)


def _add_queue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queue", default="fleetgraph", help="the queue that workers listen on; default: %(default)s")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--retention",
        type=positive,
        default=int(RETENTION.total_seconds()),
        metavar="SECONDS",
        help="how long a run stays in Redis after its end; default: %(default)s",
    )
    parser.add_argument(
        "--log-events",
        type=positive,
        default=LOG_EVENTS,
        metavar="N",
        help="about how many messages of a run are kept for late readers; default: %(default)s",
    )


def _add_modes(parser: argparse.ArgumentParser, *, default: list[str] | None, text: str) -> None:
    parser.add_argument("--mode", nargs="+", choices=STREAM_MODES, default=default, metavar="MODE", help=text)


def _add_client(parser: argparse.ArgumentParser) -> None:
    _add_redis(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")


def _run_acl(options: argparse.Namespace) -> int:
    from fleetgraph.wire.acl import rules

    user = options.user or f"fleetgraph-{options.role}"
    words = rules(
        Role(options.role), savers=options.saver, stores=options.store, caches=options.cache, redis6=options.redis6
    )
    print("ACL SETUSER", user, *words)
    return 0


def _run_worker(options: argparse.Namespace) -> int:
    from fleetgraph.worker.main import run_worker

    _find_local_modules()
    return run_worker(
        options.graphs,
        options.redis,
        queue=options.queue,
        concurrency=options.concurrency,
        name=options.name,
        owned=options.owned,
        ready_fd=options.ready_fd,
        lease_seconds=options.lease,
    )


def _run_demo(options: argparse.Namespace) -> int:
    from fleetgraph.cli.demo import run

    return run(options.redis)


def _find_local_modules() -> None:
    """Let app:graph be found in the folder of app.py, as `python -m` does."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def _limits(options: argparse.Namespace) -> Any:
    from fleetgraph.coordinator.run import Limits

    return Limits(timedelta(seconds=options.retention), options.log_events)


def _run_coordinator(options: argparse.Namespace) -> int:
    from fleetgraph.coordinator.service import run_coordinator

    _find_local_modules()
    return run_coordinator(options.graphs, options.redis, queue=options.queue, limits=_limits(options))


def _run_dev(options: argparse.Namespace) -> int:
    from fleetgraph.cli.dev import run

    _find_local_modules()
    return run(
        options.graphs,
        options.redis,
        workers=options.workers,
        concurrency=options.concurrency,
        queue=options.queue,
        limits=_limits(options),
    )


def _run_run(options: argparse.Namespace) -> int:
    from fleetgraph.cli.run import run

    return run(
        options.graph,
        options.redis,
        given=options.input,
        resume=options.resume,
        thread=options.thread,
        config=options.config,
        modes=options.mode,
        subgraphs=options.subgraphs,
        detach=options.detach,
        strategy=options.strategy,
        survives=options.on_disconnect == "continue",
        as_json=options.json,
    )


def _run_join(options: argparse.Namespace) -> int:
    from fleetgraph.cli.join import join

    return join(
        options.id,
        options.redis,
        after=options.after,
        modes=options.mode,
        subgraphs=options.subgraphs,
        ns=options.ns,
        as_json=options.json,
    )


def _run_runs(options: argparse.Namespace) -> int:
    from fleetgraph.cli.runs import show

    return show(options.redis, status=options.status, graph=options.graph, limit=options.limit, as_json=options.json)


def _run_cancel(options: argparse.Namespace) -> int:
    from fleetgraph.cli.runs import cancel

    return cancel(options.id, options.redis, as_json=options.json)


def _run_state(options: argparse.Namespace) -> int:
    from fleetgraph.cli.state import show

    return show(
        options.graph,
        options.redis,
        thread=options.thread,
        history=options.history,
        limit=options.limit,
        as_json=options.json,
    )


def _interval(text: str) -> float:
    """Seconds between looks at Redis: not so few that looking is all it does."""
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be 0.1 to 3600")
    return value


def _run_watch(options: argparse.Namespace) -> int:
    from fleetgraph.cli.watch import run

    return run(options.redis, queues=options.queue, once=options.once, as_json=options.json, interval=options.interval)
