"""`fleetgraph demo`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from fleetgraph.cli.demo_graph import graph
from fleetgraph.config import RunnableConfig
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import mask_password
from fleetgraph.types import STREAM_MODES

_WIDTH = max(map(len, STREAM_MODES))
_CONFIG: RunnableConfig = {"configurable": {"thread_id": "demo"}}


def run(url: str | None) -> int:
    """Run the demo on workers that listen on a Redis, or on two of its own."""
    where = mask_password(url) if url else "a Redis and two worker processes of its own"
    print(f"The streaming guide's graph, on {where}. Each line is a chunk, printed as it comes:\n")
    if not find_spec("langchain_core"):
        print("(LangChain is not installed: no `messages`. Add it: pip install 'fleetgraph[langchain]')\n")
    with Fleet(url) if url else Fleet.local(workers=2) as fleet:
        final: Any = None
        on_fleet = graph.on(fleet)
        for mode, chunk in on_fleet.stream({"topic": "ice cream"}, _CONFIG, stream_mode=list(STREAM_MODES)):
            print(f"  {mode:<{_WIDTH}}  {_shown(mode, chunk)}", flush=True)
            if mode == "values":
                final = chunk
    print("\nWho ran what:")
    for line in final["ran_on"]:
        print(f"  {line}")
    return 0


def _shown(mode: str, chunk: Any) -> str:
    match mode:
        case "messages":
            message, metadata = chunk
            return f"{message.content!r} from {metadata['langgraph_node']}"
        case "tasks":
            what = "result" if "result" in chunk else "input"
            return f"{chunk['name']} {what}={chunk[what]}"
        case "checkpoints":
            return f"step {chunk['metadata']['step']} saved, next: {', '.join(chunk['next']) or 'nothing'}"
        case "debug":
            return f"step {chunk['step']} {chunk['type']} {chunk['payload'].get('name', '')}"
        case _:
            return str(chunk)
