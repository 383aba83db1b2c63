"""One live line on standard error; quiet lines when nobody watches."""

import sys
import time
from types import TracebackType


def say(text: str) -> None:
    """Print one line for the person who watches, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def duration(seconds: float) -> str:
    """A length of time as a person says it.

    >>> duration(4.2), duration(75), duration(7384)
    ('4s', '1m15s', '2h03m')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def size(count: float) -> str:
    """A number of bytes as a person says it, in powers of ten.

    >>> size(999), size(1_234_567), size(2.5e10)
    ('999 B', '1.23 MB', '25.0 GB')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:#.3g}".rstrip(".") + f" {unit}"
    return f"{count:.0f} B"


class Progress:
    """A line that is rewritten in a terminal, and repeated seldom in a log."""

    def __init__(self, title: str, *, total: int | None = None, unit: str = "") -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = 0
        self._live = sys.stderr.isatty()
        self._pause = 0.2 if self._live else 10.0
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            sys.stderr.write("\n")

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more units done and, when it is time, show the line."""
        self.done += count
        now = time.monotonic()
        if now - self._shown < self._pause and self.done != self.total:
            return
        self._shown = now
        self._show(now - self._started, note)

    def _show(self, seconds: float, note: str) -> None:
        of = f"/{self.total:,}" if self.total is not None else ""
        rate = self.done / seconds if seconds > 0 else 0.0
        left = f", {duration((self.total - self.done) / rate)} left" if self.total and rate else ""
        line = f"{self.title}: {self.done:,}{of} {self.unit} ({rate:,.0f}/s{left}) {note}".rstrip()
        sys.stderr.write(f"\r\x1b[K{line}" if self._live else line + "\n")
        sys.stderr.flush()
