"""What the processes of a fleet are to their Redis, and what to do when one lacks a right. The rights are in `acl`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from redis.exceptions import NoPermissionError

SAVER_PREFIX: Final = "fleetgraph:checkpoint"
"""`RedisSaver`'s, unless told otherwise."""

STORE_PREFIX: Final = "fleetgraph:store"
"""`RedisStore`'s, unless told otherwise."""

CACHE_PREFIX: Final = "fleetgraph:cache:"
"""`RedisCache`'s, unless told otherwise."""


class Role(StrEnum):
    """What a process of a fleet is, to its Redis."""

    CLIENT = "client"
    """Asks coordinators, and reads runs: `Client`, `fleetgraph run`, `join`, `runs`, `cancel`, `state`."""
    COORDINATOR = "coordinator"
    """Drives runs: `fleetgraph coordinator`, and a program that runs graphs `on` a fleet."""
    WORKER = "worker"
    """Runs nodes: `fleetgraph worker`."""
    DASHBOARD = "dashboard"
    """Watches, and changes nothing: `fleetgraph watch`."""


def missing_rights(error: BaseException, role: Role) -> str:
    """What to do about an error of Redis, if it says that the user of a process lacks a right; empty if it does not."""
    words = ("NOPERM", "The user executing the script can't", "ACL failure in script")
    if not isinstance(error, NoPermissionError) and not any(word in str(error) for word in words):
        return ""
    return (
        f"Its user needs the rights of the role {role.value}: `fleetgraph acl {role.value}` prints the command that "
        "gives them, and docs/security.md says which process needs which role."
    )
