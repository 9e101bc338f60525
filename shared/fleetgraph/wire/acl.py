"""Who may do what in Redis: the rights that each role needs, and no more.

A role is a Redis user. Which commands it may use on which keys is listed here pair by pair; Redis checks them inside of
scripts as well, for the user who calls them. `docs/security.md` tells what each role can do with its rights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fleetgraph.wire import keys
from fleetgraph.wire.roles import Role


@dataclass(frozen=True, slots=True)
class _Right:
    """Commands that may be used on keys; a pair that is in no right is refused."""

    commands: str
    """Their names, with blanks between them."""
    patterns: tuple[str, ...]
    access: str = ""
    """`R` or `W` if the keys may only be read, or only be written, whatever the commands would allow."""

    def words(self, *, split: bool) -> list[str]:
        """As Redis wants them; without what Redis 6 does not know if they are not to be `split`."""
        before = f"%{self.access}~" if self.access and split else "~"
        return [*(f"+{name}" for name in self.commands.split()), *(before + pattern for pattern in self.patterns)]


_ANY: Final = "*"

_RUN: Final = (keys.run(_ANY),)
"""Runs' records, and whatever else runs have: their keys begin like the record's."""

_RQ_JOBS: Final = (keys.rq_job(_ANY), keys.rq_results(_ANY), keys.rq_executions(_ANY), keys.rq_execution(_ANY, _ANY))

_WORKERS: Final = (keys.rq_workers(), keys.rq_queue_workers(_ANY))


# --- commands without keys; what a user may publish and subscribe to ----------------------------------------

_EVERYONE: Final = "ping select time info|server"
"""`select` for URLs of another database than 0; the version is in `INFO server`."""

_SCRIPTS: Final = "script|load"
_TRANSACTION: Final = "multi exec"
_CONNECTION: Final = "client|id client|setname client|info"
"""About the user's own connection: RQ shows a worker's address."""

_SUBSCRIBE: Final = "subscribe unsubscribe"

_KEYLESS: Final = {
    Role.CLIENT: f"{_EVERYONE} {_SUBSCRIBE}",
    Role.COORDINATOR: f"{_EVERYONE} {_SCRIPTS} {_TRANSACTION} publish {_SUBSCRIBE} pubsub|numsub",
    Role.WORKER: f"{_EVERYONE} {_SCRIPTS} {_TRANSACTION} unwatch discard publish {_SUBSCRIBE} {_CONNECTION}",
    Role.DASHBOARD: f"{_EVERYONE} {_SUBSCRIBE} psubscribe punsubscribe",
}

_CHANNELS: Final = {
    Role.CLIENT: (keys.events(_ANY),),
    Role.COORDINATOR: (keys.events(_ANY), keys.handed(_ANY)),
    Role.WORKER: (keys.events(_ANY), keys.handed(_ANY)),
    Role.DASHBOARD: (keys.events(_ANY),),
}

# --- commands on keys ------------------------------------------------------------------------------------------

_CLIENT: Final = (
    _Right("rpush expire", (keys.calls(_ANY),), "W"),
    _Right("blpop", (keys.reply(_ANY),)),
    _Right("hgetall hmget hget xrange", _RUN, "R"),
    _Right("hgetall", (keys.coordinator(_ANY),), "R"),
    _Right("zrangebyscore zrevrange", (keys.coordinators(), keys.runs()), "R"),
)

_COORDINATOR: Final = (
    _Right(
        "evalsha",
        (
            *_RUN,
            keys.values(_ANY),
            keys.runs(),
            keys.coordinators(),
            keys.coordinator(_ANY),
            keys.inbox(_ANY),
            keys.calls(_ANY),
            keys.leases(_ANY),
            keys.rq_queue(_ANY),
            keys.rq_queues(),
            keys.rq_started(_ANY),
        ),
    ),
    _Right(
        "hget hmget hgetall hset hsetnx hincrby hexists hdel sadd rpush lrange xadd xrange exists expire del",
        _RUN,
    ),
    _Right("hset hdel hkeys expire del", (keys.values(_ANY),)),
    _Right("zadd zrem zrandmember ttl expire", (keys.runs(),)),
    _Right("rpush lrange lindex lrem lpop expire", (keys.thread(_ANY, _ANY),)),
    _Right("zadd zrem zscore zrangebyscore expire", (keys.coordinators(),)),
    _Right("hget hset hsetnx hdel sadd srem smove smembers srandmember expire", (keys.coordinator(_ANY),)),
    _Right("blmove lrange lpop rpush expire", (keys.inbox(_ANY),)),
    _Right("blpop lpop lrange rpush", (keys.calls(_ANY),)),
    _Right("exists del", (keys.coordinator(_ANY), keys.inbox(_ANY), keys.calls(_ANY))),  # several in one command
    _Right("rpush expire", (keys.reply(_ANY), keys.answers(_ANY)), "W"),
    _Right("zadd zrem zrangebyscore expire", (keys.leases(_ANY),)),
    _Right("llen lpos lrange lrem rpush del", (keys.rq_queue(_ANY),)),
    _Right("sadd", (keys.rq_queues(),), "W"),
    _Right("zrevrange zrem", (keys.waiting(_ANY),)),
    _Right("exists", (keys.rq_suspended(),), "R"),
    _Right("hget hmget hset zadd zrange del", _RQ_JOBS),
    _Right("zrange zrem", (keys.rq_started(_ANY), keys.rq_failed(_ANY))),
    _Right("zadd", (keys.rq_started(_ANY),), "W"),
    _Right("smembers", _WORKERS, "R"),
    _Right("hget hmget hset ttl", (keys.rq_worker(_ANY),)),
    _Right("sadd srem scard", (keys.rq_worker_executions(_ANY),)),
)

_WORKER: Final = (
    _Right(
        "evalsha",
        (
            *_RUN,
            keys.leases(_ANY),
            keys.rq_queue(_ANY),
            keys.rq_job(_ANY),
            keys.rq_started(_ANY),
            keys.rq_failed(_ANY),
            keys.rq_worker(_ANY),
            keys.rq_queue_workers(_ANY),
            keys.rq_suspended(),
            keys.waiting(_ANY),
        ),
    ),
    _Right("hget hmget hincrby expire", _RUN),
    _Right("hmget", (keys.values(_ANY),), "R"),
    _Right("expire", (keys.values(_ANY),), "W"),
    _Right("xadd", (keys.log(_ANY),), "W"),
    _Right("sadd", (keys.seen(_ANY),), "W"),
    _Right("hdel", (keys.tasks(_ANY),), "W"),
    _Right("hset hdel", (keys.sent(_ANY),), "W"),
    _Right("expire", (keys.thread(_ANY, _ANY),), "W"),
    _Right("lrange", (keys.thread(_ANY, _ANY),), "R"),
    _Right("rpush expire", (keys.inbox(_ANY),), "W"),
    _Right("blpop", (keys.answers(_ANY),)),
    _Right("zadd zrem expire", (keys.leases(_ANY),), "W"),
    _Right("lmove llen lpop lpush lrange lrem", (keys.rq_queue(_ANY),)),
    _Right("zadd zrem zremrangebyscore expire", (keys.waiting(_ANY),), "W"),
    _Right("hget hmget hgetall hset zadd xadd smembers exists expire del watch", _RQ_JOBS),
    _Right("zadd zrem zrangebyscore zremrangebyscore expire", (keys.rq_started(_ANY), keys.rq_failed(_ANY))),
    _Right(
        "hset hexists hincrby hincrbyfloat sadd srem smembers exists expire del",
        (keys.rq_worker(_ANY),),
    ),
    _Right("sadd srem smembers scard", _WORKERS),
    _Right("exists", (keys.rq_suspended(),), "R"),
    _Right("set del", (keys.rq_cleaning(_ANY),), "W"),
)

_DASHBOARD: Final = (
    _Right("hget hmget hgetall hlen xrange xrevrange xlen scard exists ttl pttl type", _RUN, "R"),
    _Right("zrange zrangebyscore zrevrange zcard zcount zscore", (keys.runs(), keys.coordinators()), "R"),
    _Right("hget hmget hgetall scard smembers srandmember ttl pttl", (keys.coordinator(_ANY),), "R"),
    _Right("zrange zrangebyscore zcard zcount zscore", (keys.leases(_ANY),), "R"),
    _Right("llen lrange", (keys.thread(_ANY, _ANY),), "R"),
    _Right("llen", (keys.inbox(_ANY), keys.calls(_ANY)), "R"),
    _Right("smembers srandmember scard", (keys.rq_queues(), *_WORKERS), "R"),
    _Right("llen lrange", (keys.rq_queue(_ANY),), "R"),
    _Right("hget hmget hgetall scard smembers srandmember exists ttl pttl", (keys.rq_worker(_ANY),), "R"),
    _Right("hget hmget hgetall exists ttl pttl", (keys.rq_job(_ANY),), "R"),
    _Right("zrange zrangebyscore zcard zcount", (keys.rq_started(_ANY), keys.rq_failed(_ANY)), "R"),
    _Right("exists", (keys.rq_suspended(),), "R"),
)

_RIGHTS: Final = {
    Role.CLIENT: _CLIENT,
    Role.COORDINATOR: _COORDINATOR,
    Role.WORKER: _WORKER,
    Role.DASHBOARD: _DASHBOARD,
}


def _literal(prefix: str) -> str:
    """A prefix as part of a pattern."""
    return re.sub(r"([\\*?\[\]^])", r"\\\1", prefix)


def _saver(prefix: str) -> _Right:
    return _Right(
        "evalsha hget hmget hgetall hkeys hset hsetnx hdel zadd zrem zrange zrangebylex zrevrangebylex "
        "zremrangebylex pexpire unlink",
        (f"{_literal(prefix)}:*",),
    )


def _store(prefix: str) -> tuple[_Right, _Right]:
    prefix = _literal(prefix)
    return (
        _Right("evalsha", (prefix,)),
        _Right(
            "hget hmget hset zadd zrem zscore zrange zrangebyscore incr exists pexpireat persist unlink",
            (f"{prefix}:*",),
        ),
    )


def _cache(prefix: str) -> _Right:
    return _Right("mget set unlink", (f"{_literal(prefix)}*",))


def rules(
    role: Role,
    *,
    savers: Sequence[str] = (),
    stores: Sequence[str] = (),
    caches: Sequence[str] = (),
    redis6: bool = False,
) -> list[str]:
    """The rules of a user of Redis that has a role, to follow `ACL SETUSER <name>`.

    They replace what the user was allowed before, and leave its passwords: a new user has none, and can't log in
    without.

    Args:
        role: The role.
        savers: Prefixes of each `RedisSaver` that it uses.
        stores: Prefixes of each `RedisStore` that it uses.
        caches: Prefixes of each `RedisCache` that it uses.
        redis6: For Redis before 7, which knows of commands and of keys, but not of pairs of them, nor of reading and
            writing: the user may then use each of its commands on each of its keys.

    Example:
        >>> client.execute_command("ACL SETUSER", "worker-1", *rules(Role.WORKER))
    """
    rights = [*_RIGHTS[role]]
    rights += [_saver(prefix) for prefix in savers]
    rights += [right for prefix in stores for right in _store(prefix)]
    rights += [_cache(prefix) for prefix in caches]
    keyless = _KEYLESS[role].split()
    if savers and "multi" not in keyless:
        keyless += _TRANSACTION.split()
    if (savers or stores) and _SCRIPTS not in keyless:
        keyless.append(_SCRIPTS)
    start = ["on", "resetkeys", "resetchannels", "-@all"]
    if not redis6:
        start.insert(2, "clearselectors")
    words = [*start, *(f"+{name}" for name in keyless), *(f"&{name}" for name in _CHANNELS[role])]
    if redis6:
        flat = [word for right in rights for word in right.words(split=False)]
        return list(dict.fromkeys([*words, *flat]))
    return [*words, *(f"({' '.join(right.words(split=True))})" for right in rights)]
