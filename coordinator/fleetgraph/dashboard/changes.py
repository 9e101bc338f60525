"""What changed from one picture to the next, in lines: for logs, and for whoever has no screen."""

from __future__ import annotations

from collections.abc import Iterator

from fleetgraph.dashboard.picture import Health, Picture, SeenRun, SeenWorker, TaskState


def changes(before: Picture, after: Picture) -> list[str]:
    """What happened to runs, tasks, workers and coordinators between two pictures."""
    if after.trouble:
        return [] if before.trouble else [f"Redis can't be read: {after.trouble}"]
    lines = ["Redis can be read again"] if before.trouble else []
    lines += _coordinators(before, after)
    lines += _workers(before, after)
    lines += _runs(before, after)
    lines += _tasks(before, after)
    if after.suspended != before.suspended:
        lines.append("workers are suspended" if after.suspended else "workers are no longer suspended")
    return lines


def _coordinators(before: Picture, after: Picture) -> Iterator[str]:
    known = {one.id: one for one in before.coordinators}
    for one in after.coordinators:
        former = known.pop(one.id, None)
        if former is None:
            yield f"coordinator {one.id} is there: {one.kind or 'unknown'} on {one.host or 'an unknown host'}"
        if one.health is Health.DEAD and (former is None or former.health is not Health.DEAD):
            yield f"coordinator {one.id} shows no sign of life: it holds {one.runs} runs"
    yield from (f"coordinator {one} has gone" for one in known)


def _workers(before: Picture, after: Picture) -> Iterator[str]:
    known = {worker.name: worker for worker in before.workers}
    for worker in after.workers:
        former = known.pop(worker.name, None)
        if former is None:
            yield f"worker {worker.name} is there: queue {', '.join(worker.queues)}, graphs {', '.join(worker.graphs)}"
        if (former.health if former else Health.UP) is not worker.health:
            yield f"worker {worker.name} {_says(worker)}"
    if after.workers_on_record <= len(after.workers):  # else it may only have been left out
        yield from (f"worker {name} has gone" for name in known)


def _says(worker: SeenWorker) -> str:
    if worker.health is Health.UP:
        return "is up again"
    what = "is dead" if worker.health is Health.DEAD else "is silent"
    return f"{what}: no sign of life for {worker.silent or 0:.1f} s, holds {worker.held} tasks"


def _runs(before: Picture, after: Picture) -> Iterator[str]:
    known = {run.id: run for run in before.runs}
    for run in reversed(after.runs):
        former = known.get(run.id)
        if former is None and run.age is not None and run.age > after.time - before.time + 1:
            continue  # it was only left out before
        if former is None or former.status != run.status:
            yield f"run {run.id} {run.status}{_about(run)}"
        elif former.coordinator != run.coordinator and not run.over:
            yield f"run {run.id} goes on with coordinator {run.coordinator}"


def _about(run: SeenRun) -> str:
    thread = f", thread {run.thread}" if run.thread else ""
    ended = f", {run.events} events in {run.took:.1f} s" if run.took is not None else ""
    return f": graph {run.graph}{thread}{ended}{', ' if run.error else ''}{run.error.partition(chr(10))[0]}"


def _tasks(before: Picture, after: Picture) -> Iterator[str]:
    known = {(task.run, task.id, task.attempt): task for task in before.tasks}
    for task in after.tasks:
        former = known.get((task.run, task.id, task.attempt))
        what = f"task {task.id} of run {task.run}, node {task.node}, attempt {task.attempt}"
        if task.state is TaskState.LOST and (former is None or former.state is not TaskState.LOST):
            yield f"{what}: lost by worker {task.worker}"
        elif former is None and task.attempt > 1:
            yield f"{what}: {task.state.value}{f' on {task.worker}' if task.worker else ''}"
