"""What modules, classes, graphs and processes are called, so that every process understands it."""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

_MAIN = frozenset({"__main__", "__mp_main__"})
# `__mp_main__` is what multiprocessing calls the parent's script in the children it spawns.


def this_process() -> str:
    """What errors call the process they are raised in: they may be read in another one."""
    return f"this process (pid {os.getpid()} on {socket.gethostname()})"


def is_same_graph(one: str, other: str) -> bool:
    """Whether two names of graphs, `module:attribute`, may be one graph's; `serves.lua` decides it the same way.

    A file is known by another name to whoever imports it from another folder: `pkg.app:graph`, `app:graph`.
    """
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def is_called(name: str, graph: str) -> bool:
    """Whether people may mean the graph of this name by `graph`: the whole name, or its attribute."""
    return graph in (name, name.rpartition(":")[2])


def module_name(module: ModuleType | str) -> str:
    """The name `module` is imported by, also where it is the script being run.

    A script is called `__main__` in its own process only. Its name here is the one after `python -m`, else
    the dotted path of its file below the topmost folder that is a package; in a notebook it stays `__main__`.
    """
    name = module if isinstance(module, str) else module.__name__
    return _main_name() if name in _MAIN else name


def wire_name(cls: type[Any]) -> str:
    """`module:qualname`, the name under which `cls` travels."""
    return f"{module_name(cls.__module__)}:{cls.__qualname__}"


def shown_name(cls: type[Any]) -> str:
    """`module.qualname` for people, without the module of built-in types."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _main_name() -> str:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in _MAIN:
        return spec.name
    return _name_of_script(getattr(main, "__file__", None) or "")


@cache  # exceptions that arrive ask for it, each time
def _name_of_script(file: str) -> str:
    path = Path(file).absolute()
    if not path.is_file():  # a notebook, or a script on standard input, whose file is called <stdin>
        return "__main__"
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name:
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)
