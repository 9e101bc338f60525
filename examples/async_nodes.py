"""Async nodes, streamed with `astream`: the waiting of one node is not in the way of another."""

import asyncio
from typing import TypedDict

from _fleet import placed

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import StreamWriter


class State(TypedDict):
    city: str
    weather: str
    advice: str


async def ask_weather(state: State, writer: StreamWriter) -> dict[str, str]:
    writer("asking the weather service")
    await asyncio.sleep(0.05)  # stands for a request to it
    writer("got an answer")
    return {"weather": f"rain in {state['city']}"}


async def advise(state: State) -> dict[str, str]:
    return {"advice": f"There is {state['weather']}: take an umbrella."}


graph = (
    StateGraph(State)
    .add_node(ask_weather)
    .add_node(advise)
    .add_edge(START, "ask_weather")
    .add_edge("ask_weather", "advise")
    .compile()
)


async def main() -> None:
    with placed(graph) as app:
        async for mode, chunk in app.astream({"city": "Bergen"}, stream_mode=["updates", "custom"]):
            print(f"{mode:8}", chunk)


if __name__ == "__main__":
    asyncio.run(main())
