"""State keys whose value is computed for each task instead of stored."""

from __future__ import annotations

from typing import Annotated, Protocol, get_args, get_origin


class ManagedValue(Protocol):
    """Computes a state key from where the run stands."""

    @staticmethod
    def get(step: int, stop: int) -> object:
        """The value for a task of `step`, in a run whose first forbidden step is `stop`."""
        ...


class IsLastStepManager:
    @staticmethod
    def get(step: int, stop: int) -> bool:
        return step == stop - 1


class RemainingStepsManager:
    @staticmethod
    def get(step: int, stop: int) -> int:
        return stop - step


IsLastStep = Annotated[bool, IsLastStepManager]
"""State key that is True in the last superstep the recursion limit allows."""
RemainingSteps = Annotated[int, RemainingStepsManager]
"""State key that counts the supersteps left under the recursion limit."""


def managed_of(annotation: object) -> type[ManagedValue] | None:
    """The managed value an annotation asks for, looking through Required, NotRequired and the like."""
    for item in getattr(annotation, "__metadata__", ()):
        if item in (IsLastStepManager, RemainingStepsManager):
            return item
    if get_origin(annotation) is not None and (args := get_args(annotation)):
        return managed_of(args[0])
    return None


__all__ = ["IsLastStep", "RemainingSteps"]
