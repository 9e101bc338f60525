"""Fixtures of the dashboard's tests: the Redis and the workers of the fleet's tests."""

from __future__ import annotations

from tests.fleet.conftest import client, queue, start_worker

__all__ = ["client", "queue", "start_worker"]
