"""The functional API: a workflow is a function (`@entrypoint`), the functions it calls are tasks (`@task`)."""

from fleetgraph.func.entrypoints import entrypoint
from fleetgraph.func.tasks import TaskFunction, task

__all__ = ["TaskFunction", "entrypoint", "task"]
