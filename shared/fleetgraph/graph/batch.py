"""Running a graph for several inputs at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from fleetgraph.config import RunnableConfig

Configs = RunnableConfig | Sequence[RunnableConfig] | None


def run_batch(
    invoke: Callable[..., Any],
    inputs: Sequence[Any],
    config: Configs,
    options: Mapping[str, Any],
    *,
    return_exceptions: bool,
) -> list[Any]:
    """Invoke with each input, in threads; see `CompiledGraph.batch`."""
    configs = _each(config, len(inputs))
    if not inputs:
        return []

    def run(given: Any, config: RunnableConfig | None) -> Any:
        try:
            return invoke(given, config, **options)
        except Exception as error:
            if not return_exceptions:
                raise
            return error

    with ThreadPoolExecutor(_width(configs) or len(inputs), thread_name_prefix="fleetgraph-batch") as pool:
        pairs = zip(inputs, configs, strict=True)
        futures = [pool.submit(copy_context().run, run, given, config) for given, config in pairs]
    return [future.result() for future in futures]


async def arun_batch(
    ainvoke: Callable[..., Awaitable[Any]],
    inputs: Sequence[Any],
    config: Configs,
    options: Mapping[str, Any],
    *,
    return_exceptions: bool,
) -> list[Any]:
    """Invoke with each input, on the event loop; see `CompiledGraph.abatch`."""
    configs = _each(config, len(inputs))
    slots = asyncio.Semaphore(_width(configs) or max(1, len(inputs)))

    async def run(given: Any, config: RunnableConfig | None) -> Any:
        async with slots:
            return await ainvoke(given, config, **options)

    running = [asyncio.ensure_future(run(given, config)) for given, config in zip(inputs, configs, strict=True)]
    try:
        return await asyncio.gather(*running, return_exceptions=return_exceptions)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _each(config: Configs, count: int) -> Sequence[RunnableConfig | None]:
    if config is None or isinstance(config, Mapping):
        return [config] * count
    if len(config) != count:
        raise ValueError(f"There are {count} inputs, but {len(config)} configs: give one for all, or one for each.")
    return config


def _width(configs: Sequence[RunnableConfig | None]) -> int | None:
    """How many may run at once; None for all."""
    return (configs[0] or {}).get("max_concurrency") if configs else None
