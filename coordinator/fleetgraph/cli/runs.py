"""`fleetgraph runs` and `fleetgraph cancel`."""

from __future__ import annotations

from fleetgraph.cli.printing import show_runs, to_json
from fleetgraph.client import Client


def show(url: str, *, status: list[str] | None, graph: str | None, limit: int, as_json: bool) -> int:
    """Print the runs on record, the newest first.

    Args:
        url: Of the Redis.
        status: Only those of these statuses.
        graph: Only those of this graph.
        limit: How many at most.
        as_json: Whether to print a line of JSON for each.

    Returns:
        The exit status.
    """
    with Client(url) as client:
        show_runs(client.list_runs(status=status, graph=graph, limit=limit), as_json=as_json)
    return 0


def cancel(run: str, url: str, *, as_json: bool) -> int:
    """Cancel a run.

    Returns:
        The exit status: 0 also if it had ended before.

    Raises:
        RunNotFound: There is no such run.
        NoCoordinator: Nobody is there to do it.
    """
    with Client(url) as client:
        cancelled = client.cancel(run)
    if as_json:
        print(to_json({"type": "run", "run": run, "cancelled": cancelled}))
    else:
        print(f"run {run} {'is cancelled' if cancelled else 'had ended before'}")
    return 0
