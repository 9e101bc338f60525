"""Names of channels and tasks that are no user's."""

from typing import Final

TASKS: Final = "__pregel_tasks"
"""The channel that carries Sends to the next superstep."""
NO_WRITES: Final = "__no_writes__"
"""Written by a task that wrote nothing else, to tell it from one that has not finished."""
ERROR: Final = "__error__"
"""Written about a task that failed: what it raised."""
ERROR_SOURCE: Final = "__error_source_node__"
"""Written about a task that failed and whose error handler runs in its place."""
INTERRUPT: Final = "__interrupt__"
"""Written about a task that asked something: what it asked."""
RESUME: Final = "__resume__"
"""Written about a task that was given answers: all of them, in the order of its questions."""
RETURN: Final = "__return__"
"""Written by a task that another task called: what its function returned."""
PREVIOUS: Final = "__previous__"
"""The channel that keeps what an entrypoint saves for the thread's next run."""
PULL: Final = "__pregel_pull"
PUSH: Final = "__pregel_push"

NULL_TASK: Final = "00000000-0000-0000-0000-000000000000"
"""The task under whose id a saver keeps what the caller's own `Command` writes."""

TASK_CONTROL: Final = frozenset({ERROR, ERROR_SOURCE, INTERRUPT, RESUME})
"""Written about a task, not by it: a task that has written nothing else has not ended."""

CONTROL_CHANNELS: Final = TASK_CONTROL | {NO_WRITES, RETURN, PUSH}
"""Never applied to the state."""


def trigger_of(node: str) -> str:
    """The channel that makes a node run in the next superstep."""
    return f"branch:to:{node}"
