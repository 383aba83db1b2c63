"""Independent jobs on all cores, in processes that die with their parent.

In: a function and its jobs. Out: results as they come; the order is the caller's business. A few jobs wait at a time, so
that memory does not grow with their number. One worker, or one job, stays in this process.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TypeVar

from hanmo.base.errors import DataError
from hanmo.base.runtime import begin_worker

J = TypeVar("J")
R = TypeVar("R")


def run_jobs(function: Callable[[J], R], jobs: Iterable[J], workers: int) -> Iterator[R]:
    """Results of `function` on every job, as they finish; jobs are asked for a few at a time.

    Raises what a job raises, and DataError when the system ends a worker.
    """
    jobs = iter(jobs)
    first = list(islice(jobs, max(workers, 1)))
    jobs = chain(first, jobs)
    if len(first) <= 1 or workers <= 1:
        yield from map(function, jobs)
        return
    pool = ProcessPoolExecutor(len(first), multiprocessing.get_context("spawn"), initializer=begin_worker)
    try:
        yield from _feed(pool, function, jobs, 2 * workers)
    except BrokenProcessPool:
        raise DataError("the system ended a worker, most likely for want of memory: run again with --workers 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _feed(pool: ProcessPoolExecutor, function: Callable[[J], R], jobs: Iterable[J], waiting: int) -> Iterator[R]:
    under_way: set[Future[R]] = set()
    for job in jobs:
        under_way.add(pool.submit(function, job))
        if len(under_way) >= waiting:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while under_way:
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)
