"""Long-term memory: a thread remembers its own conversation, a store what is to be known in all of them.

Look at the second conversation: it is another thread, and knows the name. On a fleet, nodes reach the caller's store.
Needs `pip install 'fleetgraph[langchain]'`.
"""

from dataclasses import dataclass

from _fleet import placed
from _model import chat_model
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.graph import START, MessagesState, StateGraph
from fleetgraph.runtime import Runtime
from fleetgraph.store.memory import InMemoryStore


@dataclass
class Context:
    user: str


def recite(messages: list[BaseMessage]) -> AIMessage:
    """What a model might say."""
    known, *_, question = messages
    return AIMessage(f"You said {question.text!r}. What I know of you: {known.text or 'nothing'}.")


model = chat_model(recite)


def remember(state: MessagesState, runtime: Runtime[Context]) -> None:
    """Stands for a model that is asked what of this is worth remembering."""
    _, found, name = state["messages"][-1].text.partition("my name is ")
    if found:
        runtime.store.put(("users", runtime.context.user), "name", {"fact": f"the name is {name}"})


def answer(state: MessagesState, runtime: Runtime[Context]) -> dict[str, list[BaseMessage]]:
    facts = [item.value["fact"] for item in runtime.store.search(("users", runtime.context.user))]
    return {"messages": [model.invoke([SystemMessage(", ".join(facts)), *state["messages"]])]}


graph = (
    StateGraph(MessagesState, context_schema=Context)
    .add_sequence([remember, answer])
    .add_edge(START, "remember")
    .compile(checkpointer=InMemorySaver(), store=InMemoryStore())
)


def main() -> None:
    with placed(graph) as app:
        for user, thread, said in [
            ("u1", "monday", "Hello, my name is Ada"),
            ("u1", "friday", "Who am I?"),
            ("u2", "sunday", "Who am I?"),
        ]:
            config = {"configurable": {"thread_id": thread}}
            result = app.invoke({"messages": [("user", said)]}, config, context=Context(user))
            print(f"{user} {thread}: {result['messages'][-1].text}")


if __name__ == "__main__":
    main()
