"""Blocks in parallel: Dask threads in this process, or a Dask cluster that shares the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import dask
import torch
from dask.delayed import delayed

from enggang.errors import ConfigError, EnggangError, WorkerLost
from enggang.monitors.device import keep_heap
from enggang.stages.job import Job

T = TypeVar("T")
Window = tuple[slice, slice]

#: Dask's functions carry no types.
_compute: Any = dask.compute  # type: ignore[attr-defined]


def map_blocks(
    job: Job,
    task: Callable[[Window], T],
    windows: Sequence[Window],
    sink: Callable[[Window, T], object],
    local: bool = False,
) -> None:
    """Run `task` on every window and hand each result to `sink` in this process; `local` work never leaves it.

    `task` must be pure and, for a cluster, picklable: a worker that dies after finishing leads to a second run with the
    same result (distributed promises at-least-once, not exactly-once), and nothing is written but by `sink`.
    Raises what `task` raises; on a cluster also `WorkerLost` and, where there is none, `ConfigError`.
    """
    if job.settings.dask_scheduler and not local:
        _on_cluster(job.settings.dask_scheduler, task, windows, sink)
        return
    here = delayed(lambda window: sink(window, task(window)), pure=False)
    with _one_thread_each(job.workers):
        _compute(*[here(w) for w in windows], scheduler="threads", num_workers=job.workers)


def _on_cluster(
    address: str, task: Callable[[Window], T], windows: Sequence[Window], sink: Callable[[Window, T], object]
) -> None:
    distributed: Any = _distributed()
    with _client(distributed, address) as client, client.as_current():
        futures = {client.submit(_attempt, task, window, pure=False): window for window in windows}
        for future in distributed.as_completed(list(futures)):
            window = futures.pop(future)
            try:
                result = future.result()
            except distributed.KilledWorker as error:
                raise WorkerLost(
                    f"the block at row {window[0].start}, column {window[1].start} killed every worker that took it",
                    "see the workers' logs; give them more memory, or start a state with a smaller ENGGANG_BLOCK",
                ) from error
            if isinstance(result, EnggangError):
                raise result
            sink(window, result)
            future.release()


def _attempt(task: Callable[[Window], T], window: Window) -> T | EnggangError:
    """The result, or the error as a value: one that is raised travels with its cause, and GDAL's can't be pickled."""
    try:
        return task(window)
    except EnggangError as error:
        return error


def _distributed() -> Any:
    """An optional extra: only a cluster needs it. Raises `ConfigError`."""
    try:
        return import_module("distributed")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "ENGGANG_DASK_SCHEDULER is set and the package distributed is not installed",
            "install enggang[cluster], or unset the variable",
        ) from error


@contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:
    try:
        client = distributed.Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler at {address} ({error})", "start it, or unset ENGGANG_DASK_SCHEDULER"
        ) from error
    with client:
        yield client


@contextmanager
def _one_thread_each(workers: int) -> Iterator[None]:
    """Torch's own threads would compete with Dask's."""
    keep_heap()
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def windows_of(shape: tuple[int, int], block: int) -> list[Window]:
    """All blocks of a grid of `shape` (rows, columns), row by row."""
    rows, columns = shape
    return [
        (slice(top, min(top + block, rows)), slice(left, min(left + block, columns)))
        for top in range(0, rows, block)
        for left in range(0, columns, block)
    ]
