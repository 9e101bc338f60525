"""A workflow is a function (`@entrypoint`), and what it calls are tasks (`@task`): plain Python, no nodes or edges.

A call of a task gives a future, so tasks that are called before one waits for any run at the same time, on a fleet each
on whatever worker is free. Look at the second run: the workflow is given what the thread's last run returned.
"""

import os
import sys
from typing import Any

from _fleet import placed

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.func import entrypoint, task

PAGES = {"otters": "Otters hold hands.", "eels": "Nobody has seen an eel lay eggs.", "lions": "Lions sleep a lot."}


@task
def read(topic: str) -> tuple[str, int]:
    return PAGES[topic], os.getpid()


@task
def summarize(sentences: list[str]) -> str:
    return f"{len(sentences)} facts, {sum(len(sentence.split()) for sentence in sentences)} words"


@entrypoint(checkpointer=InMemorySaver())
def research(topics: list[str], *, previous: dict[str, Any] | None) -> dict[str, Any]:
    reading = [read(topic) for topic in topics]
    known: list[tuple[str, int]] = previous["pages"] if previous else []
    pages = known + [future.result() for future in reading]
    return {"pages": pages, "summary": summarize([sentence for sentence, _ in pages]).result()}


def main() -> None:
    thread = {"configurable": {"thread_id": "animals"}}
    with placed(research) as app:
        print(app.invoke(["otters", "eels"], thread)["summary"])
        result = app.invoke(["lions"], thread)
        print(result["summary"])
        for sentence, _ in result["pages"]:
            print("-", sentence)
    print(f"(read by {len({process for _, process in result['pages']})} processes)", file=sys.stderr)


if __name__ == "__main__":
    main()
