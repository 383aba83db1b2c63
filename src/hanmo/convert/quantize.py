"""Four bits with care: the scales of Q4_0 are fitted to what the network says of text.

In: a decoder, windows of ids. Out: the same decoder, the matrices of its blocks rounded to what Q4_0 holds, gains and biases moved
a little. Codes are found first: a group takes the scale with the least squared error, every column weighted by the mean square of what
enters it (as llama.cpp's importance matrix does). Then codes stay, and scales and gains learn to say what the network in full precision
says, along the gradient of KL(full || rounded) on the windows (Chen et al. 2024, "EfficientQAT", section 3.3; Li et al. 2023,
"Norm Tweaking").
Never here: files, where the text comes from.
R windows, T ids each, N rows, K columns, G = K / 32 groups, C = 32.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hanmo.base.errors import DataError
from hanmo.base.progress import Progress
from hanmo.convert.gguf_blocks import BY_NAME, dequantized, quantized
from hanmo.model.decoder import Decoder
from hanmo.model.likelihood import divergence
from hanmo.model.rounding import GROUP, Rounded, round_int4_by_importance

HELD_OUT = 8
"""Windows that are not learned from: what was won is measured on them."""
IMPORTANCE_WINDOWS = 32
"""Windows over which importance is a mean."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How scales are fitted."""

    steps: int = 60
    """Of the optimizer."""
    rows: int = 4
    """Windows seen in each step."""
    window: int = 256
    """Tokens of a window."""
    learning_rate: float = 3e-3
    """Largest relative change of a scale or a vector in one step; it rises over five steps and falls to a twentieth (cosine)."""

    @property
    def windows(self) -> int:
        """Windows that are enough: each is learned from once."""
        return self.steps * self.rows + HELD_OUT


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What fitting won: mean KL(full || rounded) of the next token, in nats, on windows that were not learned from."""

    plain: float
    """With the scales that ggml takes."""
    weighted: float
    """With scales that fit the important columns."""
    learned: float
    """After learning."""


def windows_of(ids_n: Int[Tensor, " n"], window: int) -> Int[Tensor, "R T"]:
    """A text cut into windows; what is left at its end is left out.

    Raises DataError for a text of fewer windows than are held out and seen at least once.
    """
    if len(ids_n) < (HELD_OUT + 1) * window:
        raise DataError(f"{len(ids_n)} tokens are too little to fit scales to: give a text of at least {(HELD_OUT + 1) * window}")
    return ids_n[: len(ids_n) // window * window].view(-1, window)


def fit_q4_0(network: Decoder, ids_RT: Int[Tensor, "R T"], config: FitConfig, precision: torch.dtype = torch.float32) -> Fit:
    """Round `network`, in float32, to what Q4_0 holds exactly; the last HELD_OUT windows measure.

    `precision` is what forward and backward passes compute in.
    """
    seen_RT, held_RT = ids_RT[:-HELD_OUT], ids_RT[-HELD_OUT:]
    full = copy.deepcopy(network).to(precision).requires_grad_(requires_grad=False)
    weights = {name: module.weight.detach() for name, module in _matrices(network)}
    important = importances(network, seen_RT[:IMPORTANCE_WINDOWS])
    plain = {name: _as_ggml_rounds(weight) for name, weight in weights.items()}
    rounded = {name: round_int4_by_importance(weight, important[name]) for name, weight in weights.items()}
    student = Student(full, rounded)
    distances = [_distance(full, each, held_RT) for each in (_with(full, plain), student.network)]
    student.learn(seen_RT, config)
    distances.append(_distance(full, student.network, held_RT))
    student.settle(network)
    return Fit(plain=distances[0], weighted=distances[1], learned=distances[2])


@torch.no_grad()
def importances(network: Decoder, ids_RT: Int[Tensor, "R T"]) -> dict[str, Float[Tensor, " K"]]:
    """The mean square of what enters each column of the matrices, by their names."""
    sums = {name: torch.zeros(module.in_features) for name, module in _matrices(network)}

    def listen(sum_K: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def add(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
            sum_K.add_(inputs[0].float().square().flatten(0, -2).sum(0))

        return add

    hooks = [module.register_forward_hook(listen(sums[name])) for name, module in _matrices(network)]
    try:
        for part_RT in ids_RT.split(4):
            network.hidden(part_RT)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: sum_K / ids_RT.numel() for name, sum_K in sums.items()}


class Student:
    """A copy of a network whose matrices are whole numbers times scales, and whose scales learn, and its vectors (gains, biases).

    Each of these is multiplied by 1 + change; the changes are what the optimizer sees.
    """

    def __init__(self, full: Decoder, rounded: dict[str, Rounded]) -> None:
        self.full, self.rounded = full, rounded
        self.network = _with(full, {name: each.weight_NK for name, each in rounded.items()})
        self._matrices = {name: module.weight for name, module in _matrices(self.network)}
        self._vectors = {name: each for name, each in self.network.named_parameters() if each.dim() == 1}
        self._begin = {name: each.detach().float().clone() for name, each in self._vectors.items()}
        self.changes = {name: torch.zeros_like(each.scale_NG) for name, each in rounded.items()}
        self.changes |= {name: torch.zeros_like(each) for name, each in self._begin.items()}
        for each in (*self._matrices.values(), *self._vectors.values()):
            each.requires_grad_()

    def learn(self, ids_RT: Int[Tensor, "R T"], config: FitConfig) -> None:
        """Go through the windows, over and over where they are few."""
        optimizer = torch.optim.Adam(self.changes.values(), lr=config.learning_rate, betas=(0.9, 0.95))
        with Progress("fit scales", total=config.steps, unit="steps") as progress:
            for step in range(config.steps):
                fall = 0.5 * (1 + math.cos(math.pi * step / config.steps))
                optimizer.param_groups[0]["lr"] = config.learning_rate * min(1, (step + 1) / 5) * (0.05 + 0.95 * fall)
                at_r = torch.arange(step * config.rows, (step + 1) * config.rows) % len(ids_RT)
                distance = self._gradients(ids_RT[at_r])
                optimizer.step()
                self._follow()
                progress.advance(note=f"{distance:.4f} nats")

    def _gradients(self, ids_RT: Tensor) -> float:
        with torch.no_grad():
            wanted_RTV = self.full(ids_RT)
        loss = divergence(wanted_RTV, self.network(ids_RT)).mean()
        loss.backward()
        for name, weight in self._matrices.items():
            found = self.rounded[name]
            slope_NG = (_taken(weight).unflatten(1, (-1, GROUP)) * found.code_NGC).sum(-1)
            self.changes[name].grad = slope_NG * found.scale_NG
        for name, vector in self._vectors.items():
            self.changes[name].grad = _taken(vector) * self._begin[name]
        return loss.item()

    @torch.no_grad()
    def _follow(self) -> None:
        """The network takes the changes over."""
        for name, weight in self._matrices.items():
            weight.copy_(self._moved(name).weight_NK)
        for name, vector in self._vectors.items():
            vector.copy_(self._begin[name] * (1 + self.changes[name]))

    def _moved(self, name: str) -> Rounded:
        found = self.rounded[name]
        return Rounded(found.code_NGC, (found.scale_NG * (1 + self.changes[name])).half().float())

    @torch.no_grad()
    def settle(self, network: Decoder) -> None:
        """Write what was learned into a network in float32."""
        for name, module in _matrices(network):
            module.weight.copy_(self._moved(name).weight_NK)
        for name, vector in network.named_parameters():
            if name in self._vectors:
                vector.mul_(1 + self.changes[name])


def _taken(parameter: Tensor) -> Tensor:
    """The gradient of a parameter, in fp32, which forgets it."""
    assert parameter.grad is not None
    gradient, parameter.grad = parameter.grad.float(), None
    return gradient


def _matrices(network: Decoder) -> Iterator[tuple[str, nn.Linear]]:
    """What Q4_0 holds: the projections of the blocks, where a row is whole groups."""
    for name, module in network.layers.named_modules(prefix="layers"):
        if isinstance(module, nn.Linear) and module.in_features % GROUP == 0:
            yield name, module


@torch.no_grad()
def _with(network: Decoder, weights: dict[str, Tensor]) -> Decoder:
    """A copy with other matrices."""
    other = copy.deepcopy(network)
    for name, module in _matrices(other):
        module.weight.copy_(weights[name])
    return other


def _as_ggml_rounds(weight_NK: Tensor) -> Tensor:
    """What is in the file without fitting."""
    return torch.from_numpy(dequantized(quantized(weight_NK.numpy(), BY_NAME["Q4_0"]), BY_NAME["Q4_0"])).view_as(weight_NK)


@torch.no_grad()
def _distance(full: Decoder, other: Decoder, ids_RT: Tensor) -> float:
    """Mean KL(full || other) of the next token."""
    return sum(divergence(full(row_T[None]), other(row_T[None])).mean().item() for row_T in ids_RT) / len(ids_RT)
