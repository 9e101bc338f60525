"""An agent: a model that asks for tools until it can answer. Look at the messages: who speaks, and which tools run.

The tools of one request run at the same time. Needs `pip install 'fleetgraph[langchain]'`.
"""

from _fleet import placed
from _model import chat_model
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool

from fleetgraph.graph import START, MessagesState, StateGraph
from fleetgraph.prebuilt import ToolNode, tools_condition


@tool
def weather(city: str) -> str:
    """Tells the weather in a city."""
    return {"Bergen": "It rains in Bergen.", "Oslo": "The sun shines in Oslo."}[city]


def recite(messages: list[BaseMessage]) -> AIMessage:
    """What a model might say: first it asks for both cities, then it tells what the tools have told."""
    told = [message.text for message in messages if message.type == "tool"]
    if told:
        return AIMessage(" ".join([*told, "Go to Oslo."]))
    calls = [{"name": "weather", "args": {"city": city}, "id": f"about-{city}"} for city in ("Bergen", "Oslo")]
    return AIMessage("Let me see.", tool_calls=calls)


model = chat_model(recite).bind_tools([weather])


def call_model(state: MessagesState) -> dict[str, list[BaseMessage]]:
    return {"messages": [model.invoke(state["messages"])]}


graph = (
    StateGraph(MessagesState)
    .add_node("model", call_model)
    .add_node("tools", ToolNode([weather]))
    .add_edge(START, "model")
    .add_conditional_edges("model", tools_condition)
    .add_edge("tools", "model")
    .compile()
)


def main() -> None:
    question = {"messages": [("user", "Bergen or Oslo?")]}
    with placed(graph) as app:
        for update in app.stream(question, stream_mode="updates"):
            for node, change in update.items():
                for message in change["messages"]:
                    print(f"{node}: {message.text}")
                    for call in getattr(message, "tool_calls", []):
                        print(f"  -> {call['name']}({call['args']['city']})")


if __name__ == "__main__":
    main()
