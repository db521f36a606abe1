"""Blocks in parallel: Dask threads in this process, or a Dask cluster that shares the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import dask
import torch
from dask.delayed import delayed

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
    distributed: Any = import_module("distributed")  # an optional extra: only a cluster needs it
    with distributed.Client(address, set_as_default=False) as client:
        futures = {client.submit(task, window, pure=False): window for window in windows}
        for future in distributed.as_completed(list(futures)):
            sink(futures.pop(future), future.result())
            future.release()


@contextmanager
def _one_thread_each(workers: int) -> Iterator[None]:
    """Torch's own threads would compete with Dask's."""
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
