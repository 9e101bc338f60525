"""The wire: how values, messages and names look between processes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleetgraph.wire.allowlist import allow
    from fleetgraph.wire.codec import Codec


def __getattr__(name: str) -> Any:
    # Names of this package's modules are needed where nothing is encoded, and the codec takes long to import.
    if name == "Codec":
        from fleetgraph.wire.codec import Codec

        return Codec
    if name == "allow":
        from fleetgraph.wire.allowlist import allow

        return allow
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Codec", "allow"]
