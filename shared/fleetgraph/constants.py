"""Names that graphs and configs share."""

from typing import Final

START: Final = "__start__"
"""The virtual node a graph starts from."""
END: Final = "__end__"
"""The virtual node a graph ends at."""
TAG_NOSTREAM: Final = "nostream"
"""Tag of a chat model whose tokens must not appear in `messages`."""
TAG_HIDDEN: Final = "langsmith:hidden"
"""Tag that hides a node, edge or run from streams and traces."""

__all__ = ["END", "START", "TAG_HIDDEN", "TAG_NOSTREAM"]
