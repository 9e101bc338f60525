"""The wire: how values, messages and names look between processes."""

from fleetgraph.wire.allowlist import allow
from fleetgraph.wire.codec import Codec

__all__ = ["Codec", "allow"]
