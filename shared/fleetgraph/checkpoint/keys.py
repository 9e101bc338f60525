"""The keys of `RedisSaver`: five a thread, in one slot of a cluster. No other module spells one.

A *member* names a checkpoint within its thread: `<ns>\\0<checkpoint id>`. It sorts by namespace, then by age.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

_NO_TEXT = "%"
"""Stands for the thread whose id is the empty text: an empty hash tag is none."""


class ThreadKeys(NamedTuple):
    """The keys of one thread. With a `ttl` they all expire that long after the thread was last used, else never."""

    checkpoints: str
    """Sorted set, all scores 0: the members."""
    records: str
    """Hash: `<member>` → the checkpoint without its values, `<member>\\0metadata` → its metadata,
    `<member>\\0values` → which values it has: netstrings of `\\0<version>`, with `\\0<channel>` behind it for each
    channel of that version, or `\\0\\1<channel>` if its value is a list. (Formerly of `<channel>\\0<version>`.)"""
    values: str
    """Hash: `<ns>\\0<channel>\\0<version>` → the value, or a tail (see `checkpoint.growth`)."""
    places: str
    """Sorted set, all scores 0: `<member>\\0<task>\\0<index>` of each write."""
    writes: str
    """Hash: the same → the task's path, the channel, the value."""


def of_thread(prefix: str, thread_id: str) -> ThreadKeys:
    """The keys of a thread; its id is the hash tag, so it must have no braces of its own."""
    tag = thread_id.replace("%", "%25").replace("{", "%7B").replace("}", "%7D") or _NO_TEXT
    return ThreadKeys(*(f"{prefix}:{{{tag}}}:{name}" for name in ThreadKeys._fields))


def any_thread(prefix: str) -> str:
    """Matches the `checkpoints` of every thread."""
    for special in "\\*?[]^":
        prefix = prefix.replace(special, f"\\{special}")
    return f"{prefix}:{{*}}:checkpoints"


def thread_of(prefix: str, key: str) -> str:
    """The thread whose `checkpoints` this is."""
    tag = key[len(prefix) + 2 : -len("}:checkpoints")]
    return "" if tag == _NO_TEXT else unquote(tag)


def member(ns: str, checkpoint_id: str) -> str:
    """What names a checkpoint within its thread."""
    return f"{ns}\0{checkpoint_id}"
