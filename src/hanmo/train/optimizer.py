"""Moves the weights: fp32 masters, torch's fused rules by name, and Muon.

When the network computes in bf16, the optimizer holds fp32 masters and copies them back after each step; in fp32 the
masters are the weights themselves. State can be taken out and put back as named tensors, without pickle.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import (  # pyright: ignore[reportPrivateImportUsage]
    Tensor,
    _foreach_add,  # pyright: ignore[reportPrivateImportUsage]
    _foreach_add_,  # pyright: ignore[reportPrivateImportUsage]
    _foreach_copy_,  # pyright: ignore[reportPrivateImportUsage]
    _foreach_mul_,  # pyright: ignore[reportPrivateImportUsage]
    _foreach_norm,  # pyright: ignore[reportPrivateImportUsage]
    nn,
)

from hanmo.model.kernels.functions import adamw_, gradient_norm
from hanmo.model.kernels.library import usable
from hanmo.train.config import TrainConfig
from hanmo.train.updates import l1_subgradient, muon_scale, orthogonalize

Blocks = Mapping[str, Sequence[int]]
"""For a fused projection, the rows of each part: Muon treats the parts as matrices of their own."""


class Muon:
    """Momentum orthogonalised by Newton-Schulz, on matrices only (Jordan et al. 2024).

    v' = mu v + g; u = g + mu v' (Nesterov); w' = (1 - lr wd) w - lr scale orthogonalize(u).
    Parts of equal shape are orthogonalised as one stack.
    """

    def __init__(self, weights: Sequence[Tensor], blocks: Sequence[Sequence[int]], config: TrainConfig, precision: torch.dtype) -> None:
        self.weights, self.config, self.precision = list(weights), config, precision
        self.velocity = [torch.zeros_like(w) for w in self.weights]
        self.parts: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for index, (weight, rows) in enumerate(zip(self.weights, blocks, strict=True)):
            start = 0
            for size in rows:
                self.parts.setdefault((size, weight.size(1)), []).append((index, start))
                start += size

    def step(self, learning_rate: float) -> None:
        """One update from the gradients that the weights carry."""
        momentum = self.config.momentum
        gradients = [w.grad for w in self.weights if w.grad is not None]
        _foreach_mul_(self.velocity, momentum)
        _foreach_add_(self.velocity, gradients)
        updates = _foreach_add(gradients, self.velocity, alpha=momentum)
        if self.config.weight_decay:
            _foreach_mul_(self.weights, 1 - learning_rate * self.config.weight_decay)
        for (rows, columns), places in self.parts.items():
            stack = torch.stack([updates[i].narrow(0, start, rows) for i, start in places]).to(self.precision)
            moved = orthogonalize(stack)
            scale = -learning_rate * muon_scale(rows, columns)
            for (i, start), change in zip(places, moved, strict=True):
                self.weights[i].narrow(0, start, rows).add_(change, alpha=scale)


class Optimizer:
    """The rule named in the settings, over all weights of a network, which comes in fp32 and is put into `precision`."""

    def __init__(
        self, network: nn.Module, config: TrainConfig, blocks: Blocks | None = None, precision: torch.dtype = torch.float32
    ) -> None:
        self.config = config
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.parameters = [p for _, p in named]
        self.low_precision = precision != torch.float32
        self.masters = [p.detach().clone() if self.low_precision else p.detach() for p in self.parameters]
        network.to(precision)
        is_matrix = [p.dim() == 2 for p in self.parameters]
        inside = [matrix and "layers." in name for name, matrix in zip(self.names, is_matrix, strict=True)]
        use_muon = [config.optimizer == "muon" and flag for flag in inside]
        self.muon_indices = [i for i, flag in enumerate(use_muon) if flag]
        self.muon = self._make_muon(blocks or {}) if self.muon_indices else None
        rest = [i for i, flag in enumerate(use_muon) if not flag]
        self.rule = _make_rule(config, [self.masters[i] for i in rest if is_matrix[i]], [self.masters[i] for i in rest if not is_matrix[i]])
        self.rule_indices = [i for i in rest if is_matrix[i]] + [i for i in rest if not is_matrix[i]]
        self.matrices = [self.masters[i] for i, matrix in enumerate(is_matrix) if matrix]
        self.waiting: list[Tensor] = []
        self.scale = 1.0

    def _make_muon(self, blocks: Blocks) -> Muon:
        rows = [blocks.get(self.names[i], [self.masters[i].size(0)]) for i in self.muon_indices]
        precision = torch.bfloat16 if self.low_precision else torch.float32
        return Muon([self.masters[i] for i in self.muon_indices], rows, self.config, precision)

    @torch.no_grad()
    def collect(self) -> None:
        """Add the network's gradients to those collected and forget them: once after every micro-batch.

        A first micro-batch leaves them waiting as the network made them; sums are kept in fp32.
        """
        fresh = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        if self.waiting or self.masters[0].grad is not None:
            _foreach_add_(self.gradients(), [g.float() for g in fresh])
        else:
            self.waiting = fresh
        for p in self.parameters:
            p.grad = None

    def gradients(self) -> list[Tensor]:
        """The collected gradients in fp32, in the order of `names`."""
        for master, gradient in zip(self.masters, self.waiting, strict=False):
            master.grad = gradient.float()
        self.waiting = []
        return [m.grad for m in self.masters if m.grad is not None]

    @torch.no_grad()
    def clip(self) -> float:
        """Add the L1 term, scale the gradients down to `max_grad_norm`; gives the global norm before scaling."""
        fused = self.waiting and not self.config.l1 and self._can_fuse()
        gradients = self.waiting if fused else self.gradients()
        if self.config.l1:
            for matrix in self.matrices:
                if matrix.grad is not None:
                    matrix.grad += l1_subgradient(matrix, l1=self.config.l1)
        norm = gradient_norm(gradients) if fused else float(torch.linalg.vector_norm(torch.stack(_foreach_norm(gradients))))
        self.scale = self.config.max_grad_norm / norm if 0 < self.config.max_grad_norm < norm else 1.0
        if not fused and self.scale < 1:
            _foreach_mul_(gradients, self.scale)
        return norm

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update at `factor` times the peak learning rate; the gradients are forgotten."""
        for group in self.rule.param_groups:
            group["lr"] = self.config.learning_rate * factor
        fused = self.waiting and self._can_fuse()
        if fused:
            self._fused_step()
        else:
            if self.waiting:
                _foreach_mul_(self.gradients(), self.scale)
            self.rule.step()
        if self.muon is not None:
            self.muon.step(self.config.muon_learning_rate * factor)
        for master in self.masters:
            master.grad = None
        self.waiting, self.scale = [], 1.0
        self.publish(self.muon_indices if fused else None)

    def _can_fuse(self) -> bool:
        """Whether AdamW can go from bf16 gradients to bf16 weights in one pass."""
        return self.low_precision and self.masters[0].device.type == "cpu" and isinstance(self.rule, torch.optim.AdamW) and usable()

    def _fused_step(self) -> None:
        """`rule.step()` from waiting gradients, scaled on the way; Muon's are handed over in fp32."""
        for index in self.muon_indices:
            self.masters[index].grad = self.waiting[index].float().mul_(self.scale)
        place = {id(self.masters[i]): i for i in self.rule_indices}
        for group in self.rule.param_groups:
            for master in group["params"]:
                index = place[id(master)]
                adamw_(self.parameters[index].data, master, self.rule.state[master], self.waiting[index].contiguous(), group, self.scale)

    @torch.no_grad()
    def publish(self, indices: Sequence[int] | None = None) -> None:
        """Copy the masters (those of `indices`, or all) into the network's weights, rounding where the network is in bf16."""
        chosen = range(len(self.masters)) if indices is None else indices
        if self.low_precision and chosen:
            _foreach_copy_([self.parameters[i].data for i in chosen], [self.masters[i] for i in chosen])

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on, as named tensors."""
        tensors = {f"master.{name}": m for name, m in zip(self.names, self.masters, strict=True)}
        for position, index in enumerate(self.rule_indices):
            for key, value in self._rule_state(position).items():
                tensors[f"{key}.{self.names[index]}"] = value
        if self.muon is not None:
            for index, velocity in zip(self.muon_indices, self.muon.velocity, strict=True):
                tensors[f"velocity.{self.names[index]}"] = velocity
        return tensors

    def _rule_state(self, position: int) -> dict[str, Tensor]:
        return {k: v for k, v in self.rule.state.get(self.masters[self.rule_indices[position]], {}).items() if isinstance(v, Tensor)}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave; the network's weights follow."""
        for name, master in zip(self.names, self.masters, strict=True):
            master.copy_(tensors[f"master.{name}"])
        for index in self.rule_indices:
            suffix = f".{self.names[index]}"
            keys = {k.removesuffix(suffix): v for k, v in tensors.items() if k.endswith(suffix) and "." not in k.removesuffix(suffix)}
            for other in ("master", "velocity"):
                keys.pop(other, None)
            if keys:
                self.rule.state[self.masters[index]] = {key: value.clone() for key, value in keys.items()}
        if self.muon is not None:
            for index, velocity in zip(self.muon_indices, self.muon.velocity, strict=True):
                velocity.copy_(tensors[f"velocity.{self.names[index]}"])
        self.publish()


def _make_rule(config: TrainConfig, matrices: Iterable[Tensor], vectors: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Torch's fused rule; only matrices are decayed."""
    groups = [{"params": list(matrices), "weight_decay": config.weight_decay}, {"params": list(vectors), "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    rate, betas = config.learning_rate, (config.beta1, config.beta2)
    match config.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, fused=True)
        case "adagrad":
            return torch.optim.Adagrad(groups, lr=rate, eps=config.epsilon, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=rate, betas=betas, eps=config.epsilon, fused=True)
        case "adamw" | "muon":
            return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=config.epsilon, fused=True)
