import os
import signal

import pytest

from hanmo.base.errors import DataError
from hanmo.data.parallel import run_jobs


def double(number: int) -> int:
    return 2 * number


def own_process(number: int) -> int:
    return os.getpid()


def refuse(number: int) -> int:
    raise DataError(f"job {number}")


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_every_job_gives_its_result_for_any_number_of_workers() -> None:
    assert sorted(run_jobs(double, range(9), 1)) == sorted(run_jobs(double, range(9), 2)) == list(range(0, 18, 2))


def test_one_worker_or_one_job_stays_in_this_process() -> None:
    assert set(run_jobs(own_process, [1, 2], 1)) == set(run_jobs(own_process, [1], 8)) == {os.getpid()}


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    with pytest.raises(DataError, match="job"):
        list(run_jobs(refuse, [1, 2, 3], 2))


def test_a_killed_worker_is_one_line_not_a_traceback() -> None:
    with pytest.raises(DataError, match="ended a worker"):
        list(run_jobs(die, [1, 2], 2))
