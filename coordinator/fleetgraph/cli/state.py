"""`fleetgraph state`."""

from __future__ import annotations

from fleetgraph.cli.arguments import config_of
from fleetgraph.cli.printing import show_state
from fleetgraph.client import Client


def show(graph: str, url: str, *, thread: str, history: bool, limit: int | None, as_json: bool) -> int:
    """Print a thread's state, or all its states with the newest first.

    Args:
        graph: The name of the graph.
        url: Of the Redis.
        thread: The thread's id.
        history: Whether to print former states, too.
        limit: How many of them at most.
        as_json: Whether to print a line of JSON for each.

    Returns:
        The exit status.

    Raises:
        FleetgraphError: No coordinator has the graph.
    """
    config = config_of(None, thread)
    with Client(url) as client:
        if not history:
            show_state(client.get_state(graph, config), as_json=as_json)
            return 0
        for number, snapshot in enumerate(client.get_state_history(graph, config, limit=limit)):
            if number and not as_json:
                print()
            show_state(snapshot, as_json=as_json)
    return 0
