"""`fleetgraph run`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from fleetgraph.cli.arguments import NOTHING, config_of
from fleetgraph.cli.printing import show_run, to_json
from fleetgraph.client import Client
from fleetgraph.errors import FleetError
from fleetgraph.types import Command


def run(
    graph: str,
    url: str,
    *,
    given: Any,
    resume: Any,
    thread: str | None,
    config: Any,
    modes: list[str],
    subgraphs: bool,
    detach: bool,
    strategy: str,
    survives: bool,
    as_json: bool,
) -> int:
    """Run a graph through a coordinator and print its chunks; with `detach` only start it, and print its id.

    Args:
        graph: Its name.
        url: Of the Redis.
        given: The input; NOTHING to continue the thread.
        resume: The answer to what the thread waits for; NOTHING if there is none.
        thread: The thread's id.
        config: Further items of the config.
        modes: What to print.
        subgraphs: Whether to print chunks of graphs in nodes too.
        detach: Whether not to wait for it.
        strategy: What to do while another run of the thread goes on.
        survives: Whether it goes on when this command is interrupted.
        as_json: Whether to print JSON lines.

    Returns:
        The exit status.

    Raises:
        FleetgraphError: It could not be started.
    """
    answer: Any = cast(Any, Command)(resume=resume)
    input: Any = answer if resume is not NOTHING else None if given is NOTHING else given
    options: dict[str, Any] = {"stream_mode": modes, "subgraphs": subgraphs, "multitask_strategy": strategy}
    with Client(url) as client:
        if detach:
            with _naming_the_option(graph, thread):
                handle = client.submit(graph, input, config_of(config, thread), **options)
            print(to_json({"type": "run", "run": handle.id}) if as_json else handle.id)
            return 0
        on_disconnect = "continue" if survives else "cancel"
        chunks = client.stream(
            graph, input, config_of(config, thread), version="v2", on_disconnect=on_disconnect, **options
        )
        with chunks:
            with _naming_the_option(graph, thread):
                chunks.start()
            return show_run(chunks, as_json=as_json, graph=graph, thread=thread)


@contextmanager
def _naming_the_option(graph: str, thread: str | None) -> Generator[None]:
    """Says of an error for want of a thread how one is given here."""
    try:
        yield
    except (KeyError, ValueError) as error:
        if thread is not None or "thread_id" not in str(error):
            raise
        raise FleetError(f"{graph} keeps its state in threads: name the one to run it in, with --thread ID") from error
