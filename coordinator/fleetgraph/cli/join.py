"""`fleetgraph join`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from fleetgraph.cli.printing import show_run
from fleetgraph.client import Client
from fleetgraph.client.reading import Modes


def join(
    run: str,
    url: str,
    *,
    after: int,
    modes: list[str] | None,
    subgraphs: bool,
    ns: Sequence[str] | None,
    as_json: bool,
) -> int:
    """Print the chunks of a run that was started elsewhere: those so far, and those to come.

    Args:
        run: Its id.
        url: Of the Redis.
        after: The number of the last event that is known.
        modes: What to print, among what it streams; None for all of that.
        subgraphs: Whether to print chunks of graphs in nodes too.
        ns: Only chunks of the graph in these nodes, each inside the one before.
        as_json: Whether to print JSON lines.

    Returns:
        The exit status.

    Raises:
        FleetgraphError: There is no such run, or its events are lost.
    """
    with (
        Client(url) as client,
        client.join(
            run, after, stream_mode=cast("Modes | None", modes), subgraphs=subgraphs, ns=ns, version="v2"
        ) as chunks,
    ):
        info = client.get_run(run)
        return show_run(chunks, as_json=as_json, graph=info.graph, thread=info.thread)
