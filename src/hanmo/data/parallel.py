"""Independent jobs on all cores, in processes that die with their parent.

In: a function and its jobs. Out: results as they come; the order is the caller's business. A few jobs wait at a time, so
that memory does not grow with their number. One worker, or one job, stays in this process.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_end
from typing import TypeVar

from hanmo.base.errors import DataError

J = TypeVar("J")
R = TypeVar("R")


def run_jobs(function: Callable[[J], R], jobs: Sequence[J], workers: int) -> Iterator[R]:
    """Results of `function` on every job, as they finish.

    Raises what a job raises, and DataError when the system ends a worker.
    """
    if workers <= 1 or len(jobs) <= 1:
        yield from map(function, jobs)
        return
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"), initializer=_begin_worker)
    try:
        yield from _feed(pool, function, jobs, 2 * workers)
    except BrokenProcessPool:
        raise DataError("the system ended a worker, most likely for want of memory: run again with --workers 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _feed(pool: ProcessPoolExecutor, function: Callable[[J], R], jobs: Sequence[J], waiting: int) -> Iterator[R]:
    under_way: set[Future[R]] = set()
    for job in jobs:
        under_way.add(pool.submit(function, job))
        if len(under_way) >= waiting:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while under_way:
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone: a killed parent cannot tell us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_end([parent.sentinel])
        os._exit(1)
