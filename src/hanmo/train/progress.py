"""What a person sees while a network trains, and what `metrics.jsonl` keeps."""

import sys
import time
from pathlib import Path

from hanmo.base.errors import MissingExtraError
from hanmo.base.progress import duration
from hanmo.base.runtime import current_memory_bytes

Row = dict[str, float | int | None]


class Meter:
    """Measures speed between two looks and shows one line."""

    def __init__(self, *, flops_per_token: float, machine_flops: float, quiet: bool) -> None:
        self.flops_per_token, self.machine_flops, self.quiet = flops_per_token, machine_flops, quiet
        self._live = sys.stderr.isatty()
        self._tokens = 0
        self._clock = self._shown = time.perf_counter()

    def lap(self, tokens: int) -> float:
        """Tokens a second since the last lap, given the tokens of the whole run so far."""
        now = time.perf_counter()
        rate = (tokens - self._tokens) / max(now - self._clock, 1e-9)
        self._tokens, self._clock = tokens, now
        return rate

    def restart(self, tokens: int) -> None:
        """Forget the time spent elsewhere (evaluation, checkpoints)."""
        self._tokens, self._clock = tokens, time.perf_counter()

    def share_of_machine(self, tokens_per_second: float) -> float:
        """Achieved matrix FLOP/s over the machine's own rate; 0 when that is unknown."""
        return tokens_per_second * self.flops_per_token / self.machine_flops if self.machine_flops else 0.0

    def show(self, row: Row, *, share: float, seconds: float, always: bool = False) -> None:
        """One line on standard error: rewritten in a terminal, every five seconds in a log."""
        now = time.perf_counter()
        if self.quiet or not (always or now - self._shown > (0.2 if self._live else 5.0)):
            return
        self._shown = now
        line = self.line(row, share=share, seconds=seconds)
        sys.stderr.write(f"\r\x1b[K{line}" + ("\n" if always else "") if self._live else line + "\n")
        sys.stderr.flush()

    def line(self, row: Row, *, share: float, seconds: float) -> str:
        """The words of that line."""
        rate = row.get("tokens_per_second") or 0.0
        parts = [f"step {row['step']:,}", f"loss {row['loss']:.4f}"]
        if row.get("validation_loss") is not None:
            parts.append(f"validation {row['validation_loss']:.4f}")
        parts.append(f"{rate:,.0f} tokens/s")
        if self.machine_flops:
            parts.append(f"{self.share_of_machine(rate):.0%} of matrix rate")
        parts.append(f"{current_memory_bytes() / 1e9:.2f} GB")
        if share:
            parts.append(f"{share:.0%} done, {duration(seconds / share - seconds)} left")
        return ", ".join(parts)


def stagnation(best_step: int, best: float, now: float, *, training: float) -> str:
    """Since when validation has not improved, and what that means: the text is learnt by heart, or nothing more is learnt at all.

    >>> stagnation(600, 5.24, 5.61, training=1.87)[:64]
    'validation has not improved since step 600 (5.2400, now 5.6100),'
    """
    said = f"validation has not improved since step {best_step:,} ({best:.4f}, now {now:.4f})"
    kept = "the weights of that step are kept"
    if training < 0.9 * best:
        why = "so this text is being learnt by heart: more text, more dropout or a smaller model would help, more steps would not"
        return f"{said}, while the training loss is {training:.4f}, {why}; {kept}"
    return f"{said}, nor is the training loss ({training:.4f}) lower: a lower learning rate or a larger model may help; {kept}"


class TensorBoard:
    """Scalars for TensorBoard, when asked for.

    Raises MissingExtraError when the library is absent.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError("tensorboard", "tensorboard") from None
        self._writer = SummaryWriter(str(folder))

    def add(self, row: Row) -> None:
        """Add every number of a metrics row at its step."""
        for key, value in row.items():
            if key != "step" and value is not None:
                self._writer.add_scalar(key, value, int(row["step"] or 0))

    def close(self) -> None:
        """Write what is pending."""
        self._writer.close()
