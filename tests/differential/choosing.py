"""Which ways a case is played in, in this process and on a fleet.

All of them show something, of some case; most of it shows in a few. These are played here, of every case or of some:
what a method adds to `stream`, say, shows in any. `FLEETGRAPH_EVERY_WAY=1` plays all.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from zlib import crc32

from tests.differential.harness import THEMES_OF_THREADS, WAYS, Case, Way

EVERY_WAY = os.environ.get("FLEETGRAPH_EVERY_WAY") == "1"
"""Whether to play every case in all its ways, which takes about half an hour."""

THEMES_OF_SUBGRAPHS = {"subgraphs", "chat_subgraphs", "functional"}
"""Themes whose cases are also played with what their subgraphs stream."""


# --- in this process ---------------------------------------------------------------------------------------------


_ONLY_OF_THREADS = {
    *("stream-updates-saved", "stream-values-saved", "stream-tasks-saved", "stream-values_v2-saved"),
    *("stream-all_v2", "invoke-v2-saved"),
}

WAYS_IN_PROCESS = [
    *(n for n in WAYS if not n.startswith("a") and n not in _ONLY_OF_THREADS and "subgraphs" not in n),
    *(f"astream-{label}" for label in ("updates", "custom", "messages", "all", "all-saved", "all_v2-saved")),
    "ainvoke",
    "ainvoke-saved",
]
"""What a sync mode shows of a case, the async one of the same machine shows too: not every mode is played twice."""

WAYS_OF_THREADS = [
    *("stream-updates-saved", "stream-all-saved", "stream-all_v2-saved"),
    *("invoke-saved", "invoke-v2-saved", "astream-all-saved", "ainvoke-saved"),
    *("stream-updates", "stream-all", "stream-all_v2", "astream-all", "invoke", "ainvoke"),
]

WAYS_OF_SUBGRAPHS = [
    *(name for name in WAYS if name.startswith("stream") and "subgraphs" in name),
    *("stream", "stream-custom", "stream-messages", "stream-all", "stream-all-saved", "astream-all-saved"),
    *("astream-updates_subgraphs", "astream-messages_subgraphs", "astream-all_subgraphs-saved"),
    *("invoke", "invoke-saved", "invoke-v2-saved", "ainvoke-saved"),
]

TELLING_WAYS = {
    *("stream-all_subgraphs-saved", "stream-all-saved", "stream-all_v2-saved", "stream-messages"),
    *("astream-all_subgraphs-saved", "astream-all-saved", "invoke-v2-saved", "invoke", "ainvoke-saved"),
}
TELLING_WAYS_WITHOUT_SAVER = {"stream-all", "astream-all", "invoke", "ainvoke"}

THEMES_OF_MESSAGES = {"chat", "chat_subgraphs", "streaming", "guide", "reducers"}
"""Themes whose cases stream messages: elsewhere the mode `messages`, alone, has nothing to show."""


def ways_in_process(case: Case) -> list[Way]:
    """The ways in which a case is played in this process."""
    names = WAYS_OF_THREADS if case.theme in THEMES_OF_THREADS else WAYS_IN_PROCESS
    names = WAYS_OF_SUBGRAPHS if case.theme in THEMES_OF_SUBGRAPHS else names
    telling = TELLING_WAYS if case.with_saver else TELLING_WAYS_WITHOUT_SAVER
    ways = _possible(case, names if EVERY_WAY else [name for name in names if name in telling])
    if EVERY_WAY or case.theme == "chat" or case.async_only:
        return ways
    return [way for way in ways if is_one_in(_share_in_process(case, way), case, way.method)]


def _share_in_process(case: Case, way: Way) -> int:
    match way.name:
        case "stream-messages":
            return 1 if case.theme in THEMES_OF_MESSAGES else 4
        case "stream-all_v2-saved":
            return 2  # the same stream, in another envelope
        case _:
            return 1 if way.method == "stream" else 2


# --- on a fleet --------------------------------------------------------------------------------------------------


WAYS_ON_A_FLEET = [
    "stream-updates",
    "stream-custom",
    "stream-messages",
    "stream-debug-saved",
    "stream-values_v2",
    "stream-all",
    "stream-all-saved",
    "stream-all_v2-saved",
    "astream-all-saved",
    "invoke",
    "ainvoke-saved",
]
"""What the wire can make a difference to; the envelopes of all modes are compared in-process."""

WAYS_OF_THREADS_ON_A_FLEET = [
    *("stream-updates-saved", "stream-all-saved", "stream-all_v2-saved", "astream-all-saved"),
    *("invoke-v2-saved", "ainvoke-saved", "stream-all", "invoke"),
]
"""The same for the cases about what a thread remembers, in a saver that the caller holds."""

WAYS_OF_SUBGRAPHS_ON_A_FLEET = [
    *("stream-updates_subgraphs", "stream-messages_subgraphs", "stream-all_subgraphs", "stream-all_subgraphs-saved"),
    *("stream-all_subgraphs_v2-saved", "astream-all_subgraphs-saved", "stream-all-saved", "invoke", "ainvoke-saved"),
]

TELLING_WAYS_ON_A_FLEET = {
    *("stream-all_subgraphs-saved", "stream-all-saved", "astream-all_subgraphs-saved", "astream-all-saved"),
    "invoke",
}
"""With a saver; a run without one is the same over the wire, but that nothing is saved."""


def ways_on_a_fleet(case: Case) -> list[Way]:
    """The ways in which a case is played on a fleet."""
    names = WAYS_OF_THREADS_ON_A_FLEET if case.theme in THEMES_OF_THREADS else WAYS_ON_A_FLEET
    names = WAYS_OF_SUBGRAPHS_ON_A_FLEET if case.theme in THEMES_OF_SUBGRAPHS else names
    telling = TELLING_WAYS_ON_A_FLEET if case.with_saver else TELLING_WAYS_WITHOUT_SAVER
    ways = _possible(case, names if EVERY_WAY else [name for name in names if name in telling])
    if case.async_only and case.theme == "state_api":
        # What follows an update runs in the caller's process, whose sync methods can't await it.
        return [way for way in ways if way.method.startswith("a")]
    if EVERY_WAY or case.async_only:
        return ways
    return [way for way in ways if way.method == "stream" or is_one_in(4, case, way.method)]


# --- some of them ------------------------------------------------------------------------------------------------


def _possible(case: Case, names: Collection[str]) -> list[Way]:
    ways = [WAYS[name] for name in names]
    return [way for way in ways if (case.with_saver if way.saver else case.without_saver)]


def is_one_in(share: int, case: Case, what: str) -> bool:
    """Whether a case is among those that something is tried with, one in `share`, the same ones in every run.

    Those of a share are among those of a share that divides it.
    """
    return crc32(f"{case.name} {what}".encode()) % share == 0
