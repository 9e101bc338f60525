"""Running graphs, and reading runs, from outside the processes that have the graphs."""

from fleetgraph.client.async_client import AsyncChunks, AsyncClient, AsyncRunHandle
from fleetgraph.client.client import Chunks, Client, RunHandle
from fleetgraph.client.records import RunInfo

__all__ = ["AsyncChunks", "AsyncClient", "AsyncRunHandle", "Chunks", "Client", "RunHandle", "RunInfo"]
