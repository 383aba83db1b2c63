"""One loop for every network: forward, backward, clip, step, log, evaluate, save, stop.

It knows neither files of text nor metrics of its own: batches come by step number, what is minimised and what is measured
are arguments, and the run folder keeps everything needed to go on. Killed anywhere and started again, it gives the same bits.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic

import torch
from torch import Tensor

from hanmo.base.errors import Interrupted, TrainingError
from hanmo.base.progress import say
from hanmo.base.runs import Run
from hanmo.base.runtime import StopRequest, current_memory_bytes, derive_seed, watch_for_stop
from hanmo.train import checkpoint
from hanmo.train.checkpoint import TrainingState
from hanmo.train.config import TrainConfig
from hanmo.train.distributed import World
from hanmo.train.losses import B, Backward, Loss, backward
from hanmo.train.networks import Network
from hanmo.train.optimizer import Optimizer
from hanmo.train.progress import Meter, Row, TensorBoard, stagnation
from hanmo.train.schedule import learning_rate_factor, used_share

BatchOf = Callable[[int, int], B]
"""(step, micro) -> what this process learns from."""
Validate = Callable[[Network], Mapping[str, float]]
"""Network -> at least `validation_loss`, in nats a token."""

WINDOW = 50
TOLD_AFTER = 3
"""Evaluations without a better one before it is said what that means."""


@dataclass(kw_only=True)
class Loop(Generic[B]):
    """One training run; `run()` goes from wherever it stands to its end."""

    network: Network
    optimizer: Optimizer
    batch_of: BatchOf[B]
    loss: Loss[B]
    micro_batches: int
    validate: Validate
    config: TrainConfig
    folder: Run
    meter: Meter
    world: World = field(default_factory=World)
    backward: Backward[B] = backward
    state: TrainingState = field(default_factory=TrainingState)
    boards: TensorBoard | None = None

    def run(self) -> TrainingState:
        """Train until a limit, and leave the best weights in the network.

        Raises Interrupted after saving when asked to stop, TrainingError with a diagnosis when the loss breaks.
        """
        self.resume()
        if self.config.tensorboard and self.world.is_first:
            self.boards = TensorBoard(self.folder.folder / "tensorboard")
        try:
            with watch_for_stop() as stop:
                while not self.state.stopped_by:
                    self.advance(stop)
        finally:
            if self.boards:
                self.boards.close()
        self.take_best()
        return self.state

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        newest = checkpoint.latest(self.folder.checkpoints)
        if newest is not None:
            tensors, self.state = checkpoint.load(newest)
            self.optimizer.restore(tensors)
        if self.world.is_first:
            kept = [row for row in self.folder.read_metrics() if row["step"] <= self.state.step]
            self.folder.keep_metrics(kept)
        self.world.wait()
        self.meter.restart(self.state.tokens)

    def advance(self, stop: StopRequest) -> None:
        """One optimizer step with all that belongs to it."""
        started = time.perf_counter()
        config, state = self.config, self.state
        factor = learning_rate_factor(config, step=state.step, tokens=state.tokens, seconds=state.seconds)
        loss, tokens, norm = self.optimize(factor)
        state.step += 1
        state.tokens += tokens
        self.guard(loss, norm, factor)
        before, clock = state.seconds, time.perf_counter
        state.seconds = self.world.of_first(before + clock() - started)
        ended = used_share(config, step=state.step, tokens=state.tokens, seconds=state.seconds) >= 1
        row: Row | None = None
        if state.step % config.log_every == 0 or ended:
            rate = self.meter.lap(state.tokens)
            row = self.row(loss, norm, factor, rate)
        if ended or (config.eval_every and state.step % config.eval_every == 0):
            row = row or self.row(loss, norm, factor, None)
            row.update(self.evaluate())
            state.seconds = self.world.of_first(before + clock() - started)
        if row is not None:
            self.report(row, always="validation_loss" in row)
        if ended or (config.patience and state.evaluations_since_best >= config.patience):
            state.stopped_by = state.stopped_by or ("limit" if ended else "patience")
        leaving = self.world.any(bool(stop)) if (state.step % 5 == 0 or self.world.size == 1) else False
        if state.stopped_by or leaving or (config.checkpoint_every and state.step % config.checkpoint_every == 0):
            self.save()
            state.seconds = self.world.of_first(before + clock() - started)
        if leaving and not state.stopped_by:
            raise Interrupted(
                f"asked to stop ({stop.signal_name or 'another process'}): saved at step {state.step}; run the same command to go on"
            )

    def optimize(self, factor: float) -> tuple[float, int, float]:
        """Forward, backward and update over all micro-batches; gives mean loss, tokens and gradient norm."""
        self.network.train()
        batches = [self.batch_of(self.state.step, micro) for micro in range(self.micro_batches)]
        (weight,) = self.world.sum_numbers(sum(self.loss.weight(batch) for batch in batches))
        total = 0.0
        for micro, batch in enumerate(batches):
            torch.manual_seed(derive_seed(self.config.seed, "dropout", self.state.step, micro, self.world.rank))
            total += self.backward(self.network, self.loss, batch, weight)
            self.optimizer.collect()
        if self.world.size > 1:
            self.world.sum_(self.optimizer.gradients())
            (total,) = self.world.sum_numbers(total)
        norm = self.optimizer.clip()
        if math.isfinite(total) and math.isfinite(norm):
            self.optimizer.step(factor)
        return total / weight, round(weight), norm

    def guard(self, loss: float, norm: float, factor: float) -> None:
        """Raise TrainingError with a diagnosis when the loss or the gradient is not a number, or keeps spiking."""
        state, recent = self.state, self.state.recent_losses
        rate = factor * self.config.learning_rate
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingError(
                f"step {state.step}: loss {loss}, gradient norm {norm}, learning rate {rate:.2e}; {self.worst_gradient()}. "
                f"The last good state is in {self.folder.checkpoints}: lower train.learning_rate or lengthen train.warmup_steps"
            )
        usual = statistics.median(recent) if len(recent) == WINDOW else math.inf
        spiking = self.config.spike_factor > 0 and loss > self.config.spike_factor * usual
        state.spikes = state.spikes + 1 if spiking else 0
        if state.spikes >= 3:
            raise TrainingError(
                f"step {state.step}: the loss {loss:.3f} has been above {self.config.spike_factor} x its usual {usual:.3f} for three steps "
                f"(gradient norm {norm:.2f}, learning rate {rate:.2e}): lower train.learning_rate, or set train.spike_factor = 0 to go on"
            )
        if not spiking:
            recent.append(loss)
            del recent[:-WINDOW]

    def worst_gradient(self) -> str:
        """Which weight's gradient broke first, for a diagnosis."""
        for name, gradient in zip(self.optimizer.names, self.optimizer.gradients(), strict=False):
            if not torch.isfinite(gradient).all():
                return f"the first gradient that is not finite belongs to {name}"
        return "all gradients are finite"

    def row(self, loss: float, norm: float, factor: float, rate: float | None) -> Row:
        """One row of metrics.jsonl."""
        state = self.state
        return {
            "step": state.step,
            "tokens": state.tokens,
            "loss": loss,
            "learning_rate": factor * self.config.learning_rate,
            "gradient_norm": norm,
            "tokens_per_second": rate,
            "seconds": state.seconds,
            "memory_bytes": current_memory_bytes(),
        }

    def evaluate(self) -> Mapping[str, float]:
        """Validate, remember whether it is the best so far, and keep those weights."""
        self.network.eval()
        with torch.no_grad():
            numbers = self.validate(self.network)
        loss, state = numbers["validation_loss"], self.state
        if loss < state.best_loss:
            state.best_loss, state.best_step, state.evaluations_since_best = loss, state.step, 0
            if self.world.is_first:
                checkpoint.save(self.folder.checkpoints, "best", self.weights(), state)
        else:
            state.evaluations_since_best += 1
            if self.world.is_first and state.evaluations_since_best == TOLD_AFTER:
                say(stagnation(state.best_step, state.best_loss, loss, training=statistics.median(state.recent_losses[-10:] or [loss])))
        self.meter.restart(state.tokens)
        return numbers

    def weights(self) -> dict[str, Tensor]:
        """The fp32 weights by name."""
        return dict(zip(self.optimizer.names, self.optimizer.masters, strict=True))

    def report(self, row: Row, *, always: bool) -> None:
        """Log one row and show it."""
        if not self.world.is_first:
            return
        self.folder.append_metrics(row)
        if self.boards:
            self.boards.add(row)
        state = self.state
        share = used_share(self.config, step=state.step, tokens=state.tokens, seconds=state.seconds)
        self.meter.show(row, share=share, seconds=state.seconds, always=always)

    def save(self) -> None:
        """Write a checkpoint from the first process."""
        if self.world.is_first:
            checkpoint.save(self.folder.checkpoints, "step", self.optimizer.state(), self.state)
        self.world.wait()
        self.meter.restart(self.state.tokens)

    @torch.no_grad()
    def take_best(self) -> None:
        """Put the best weights into the optimizer's masters and the network."""
        best = checkpoint.find(self.folder.checkpoints, "best", self.state.best_step)
        if best is None:
            return
        tensors, _ = checkpoint.load(best)
        for name, master in zip(self.optimizer.names, self.optimizer.masters, strict=True):
            master.copy_(tensors[name])
        self.optimizer.publish()
