import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.progress import Progress, duration, say, size


@given(st.floats(0, 1e7))
def test_longer_never_reads_shorter(seconds: float) -> None:
    def read(words: str) -> int:
        total, number = 0, ""
        for letter in words:
            if letter.isdigit():
                number += letter
            else:
                total, number = total + int(number) * {"h": 3600, "m": 60, "s": 1}[letter], ""
        return total

    assert abs(read(duration(seconds)) - seconds) <= (0.5 if seconds < 3599 else 60)


@given(st.integers(0, 10**15))
def test_size_is_right_to_three_digits(count: int) -> None:
    number, unit = size(count).split()
    scale = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert float(number) * scale == pytest.approx(count, rel=0.006)


def test_words_for_the_watcher_leave_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_log_gets_the_last_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("reading", total=3, unit="files") as progress:
        for _ in range(3):
            progress.advance(note="a.txt")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("reading: 3/3 files (") and lines[0].endswith(" a.txt")


def test_terminal_gets_a_line_that_is_rewritten(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with Progress("reading", total=4) as progress:
        progress.advance()
        progress.advance()
    said = capsys.readouterr().err
    assert said.count("\r\x1b[K") == 2 and "1/4" in said and "3s left" in said and said.endswith("\n")


def test_work_of_unknown_length_shows_what_is_done(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with Progress("counting") as progress:
        progress.advance(7000)
    assert capsys.readouterr().err == "counting: 7,000  (350/s)\n"
