"""One stage in a process of its own (`python -m hanmo.pipeline FOLDER STAGE`).

Its memory is its own, and a kill loses one stage at most. Whoever asks the parent to stop asks the child: it has a process
group of its own, so that Ctrl-C reaches it once, through the parent, and it saves what it has before it leaves.
"""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress

from hanmo.base.errors import HanmoError, Interrupted, UsageError
from hanmo.base.runs import Run
from hanmo.base.runtime import end_with_parent


def in_own_process(name: str, folder: Run) -> None:
    """Do one stage of the recipe in `folder`.

    Raises Interrupted when asked to stop, UsageError when the stage was refused, HanmoError when it did not finish.
    """
    command = [sys.executable, "-m", "hanmo.pipeline", str(folder.folder), name]
    with _handing_on_signals() as relay:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            process_group=0,
            preexec_fn=end_with_parent,  # noqa: PLW1509
        )
        relay.watch(child)
        code = child.wait()
    if relay.signal_name:
        raise Interrupted(f"asked to stop ({relay.signal_name}) in the stage {name!r}; the same command goes on from there")
    raise_for(code, name)


def raise_for(code: int, name: str) -> None:
    """Raise what the exit code of a stage's process means; nothing for 0."""
    if code < 0:
        killed = code == -signal.SIGKILL
        why = "most likely because memory ran out" if killed else "which should not happen"
        raise HanmoError(f"the system ended the stage {name!r} ({signal.Signals(-code).name}), {why}; the same command tries it again")
    if code == UsageError.exit_code:
        raise UsageError(f"the stage {name!r} was refused: mend what it says above")
    if code:
        raise HanmoError(f"the stage {name!r} did not finish; the same command goes on from here")


class _Relay:
    """The first signal that asked us to stop, and the process it is handed on to."""

    def __init__(self) -> None:
        self.signal_name = ""
        self._child: subprocess.Popen[bytes] | None = None

    def watch(self, child: "subprocess.Popen[bytes]") -> None:
        """Hand signals on to this process."""
        self._child = child
        if self.signal_name:  # it came before the process was there
            child.terminate()

    def receive(self, number: int, frame: object) -> None:
        """Note a signal and hand it on, as the one that no process meets with a traceback."""
        self.signal_name = self.signal_name or signal.Signals(number).name
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.terminate()


@contextmanager
def _handing_on_signals() -> Generator[_Relay]:
    """While inside, whoever asks us to stop asks the stage."""
    relay = _Relay()
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, relay.receive) for number in numbers}
    try:
        yield relay
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
