"""The kernels as differentiable functions; each says which formula it equals. Callers ask `usable` first.

B rows, T tokens, D width of the stream, H query heads, K key-value heads, W width of a head, n all positions in a line.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hanmo.model.kernels.library import call, sizes

ACTIVATION_KINDS = {"silu": 0, "gelu": 1, "gelu_pytorch_tanh": 2, "relu": 3, "relu2": 4}


def add_norm(
    x: Tensor, update: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float, shift: float = 0.0
) -> tuple[Tensor, Tensor]:
    """x + update (which may be None), and its norm, scaled by shift + weight: norms.rms_norm without a bias, layer_norm with one."""
    return _AddNorm.apply(x, update, weight, bias, eps, shift)


def activation(x: Tensor, kind: str, *, gated: bool) -> Tensor:
    """act(x), or act(gate) up for x = [gate | up]: mlp.ACTIVATIONS."""
    return _Activate.apply(x, ACTIVATION_KINDS[kind], gated)


def biased_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W^T + b, the bias added inside the product and its gradient summed in fp32."""
    return _BiasedLinear.apply(x, weight, bias)


def dropout(x: Tensor, share: float) -> Tensor:
    """x / (1 - share), or 0 with probability `share` (Srivastava et al. 2014); a draw from torch's generator seeds it."""
    return _Drop.apply(x, share)


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, update: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float, shift: float
    ) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        width = x.size(-1)
        total = x if update is None else torch.empty_like(x)
        y, statistics = torch.empty_like(x), torch.empty(x.numel() // width, 2)
        update = None if update is None else update.contiguous()
        rows = x.numel() // width
        call("norm_forward", x.numel(), bias is not None, x, update, weight, bias, eps, shift, total, y, statistics, rows, width)
        ctx.save_for_backward(total, weight, statistics)
        ctx.updated, ctx.centred, ctx.shift = update is not None, bias is not None, shift
        ctx.set_materialize_grads(False)
        return total if update is not None else x.view_as(x), y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient_sum, gradient_y = grad_outputs
        x, weight, statistics = ctx.saved_tensors
        if gradient_y is None:
            return gradient_sum, gradient_sum if ctx.updated else None, None, None, None, None
        width = x.size(-1)
        gradient_x, parameters = torch.empty_like(x), torch.empty(2, width)
        gradient_sum = None if gradient_sum is None else gradient_sum.contiguous()
        gradient_y, rows = gradient_y.contiguous(), x.numel() // width
        read = (gradient_y, gradient_sum, x, weight, ctx.shift, statistics)
        call("norm_backward", x.numel(), ctx.centred, *read, gradient_x, parameters, rows, width)
        of_weight, of_bias = parameters.to(weight.dtype)
        return gradient_x, gradient_x if ctx.updated else None, of_weight, of_bias if ctx.centred else None, None, None


class _Activate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: int, gated: bool) -> Tensor:
        x = x.contiguous()
        width = x.size(-1) // 2 if gated else x.size(-1)
        y = x.new_empty(*x.shape[:-1], width)
        call("activation_forward", x.numel(), kind, gated, x, y, y.numel() // width, width)
        ctx.save_for_backward(x)
        ctx.kind, ctx.gated = kind, gated
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient_y,) = grad_outputs
        (x,) = ctx.saved_tensors
        gradient_y, gradient_x = gradient_y.contiguous(), torch.empty_like(x)
        width = gradient_y.size(-1)
        rows = gradient_y.numel() // width
        call("activation_backward", x.numel(), ctx.kind, ctx.gated, gradient_y, x, gradient_x, rows, width)
        return gradient_x, None, None


class _BiasedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient_y,) = grad_outputs
        x, weight = ctx.saved_tensors
        flat = gradient_y.reshape(-1, gradient_y.size(-1)).contiguous()
        of_x = (flat @ weight).view_as(x) if ctx.needs_input_grad[0] else None
        of_weight = flat.T @ x.reshape(-1, x.size(-1)) if ctx.needs_input_grad[1] else None
        of_bias = None
        if ctx.needs_input_grad[2]:
            of_bias = flat.new_empty(flat.size(-1))
            call("column_sums", flat.numel(), flat, of_bias, *flat.shape)
        return of_x, of_weight, of_bias


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float) -> Tensor:
        ctx.share, ctx.seed = share, int(torch.randint(1 << 62, ()))
        return _dropped(x, share, ctx.seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _dropped(grad_outputs[0], ctx.share, ctx.seed), None


def _dropped(x: Tensor, share: float, seed: int) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    call("dropout", x.numel(), x, y, share, seed, x.numel())
    return y


@dataclass(frozen=True)
class Heads:
    """How a fused projection divides: rows are [H query heads | K key heads | K value heads] of width W."""

    query: int
    key: int
    width: int
    eps: float = 1e-6
    shift: float = 0.0
    """Added to the weights of the norms of queries and keys."""
    scale: float = 0.0
    """What scores are multiplied by; 0 takes 1 / sqrt(W)."""

    @property
    def score_scale(self) -> float:
        """What scores are multiplied by, resolved."""
        return self.scale or self.width**-0.5

    @property
    def turned(self) -> int:
        """Elements of queries and keys."""
        return (self.query + self.key) * self.width

    @property
    def projected(self) -> int:
        """Elements of a row."""
        return self.turned + self.key * self.width


Turn = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""cos and sin [positions, W / 2] in fp32; the weights [W] of the norms of queries and keys. Each pair may be None."""


def turn_heads(qkv_BTE: Tensor, turn: Turn, heads: Heads) -> Tensor:
    """Queries and keys [B, T, (H + K) W]: positions.rotate after norms.rms_norm a head."""
    turned = qkv_BTE.new_empty(*qkv_BTE.shape[:2], heads.turned)
    call("rotary_forward", turned.numel(), qkv_BTE, *turn, heads.eps, heads.shift, turned, _turn_sizes(qkv_BTE, turn, heads))
    return turned


def _turn_sizes(qkv_BTE: Tensor, turn: Turn, heads: Heads) -> Tensor:
    rows = qkv_BTE.size(0) * qkv_BTE.size(1)
    positions = rows if turn[0] is None else turn[0].numel() // (heads.width // 2)
    return sizes(rows, positions, heads.query, heads.key, heads.width, heads.projected, heads.turned)


def attend(turned_BTE: Tensor, qkv_BTE: Tensor, first_BT: Tensor | None, heads: Heads) -> tuple[Tensor, Tensor]:
    """Mixed values [B, T, H W] and log-sums [B, H, T]: attention.scaled_dot_product_attention, causal.

    Queries and keys are read from `turned_BTE`, values from `qkv_BTE`.
    """
    rows, tokens = qkv_BTE.shape[:2]
    mixed = qkv_BTE.new_empty(rows, tokens, heads.query * heads.width)
    log_sums = torch.empty(rows, heads.query, tokens)
    _, layout, parts = _attention_arguments(turned_BTE, qkv_BTE, heads)
    call("attention_forward", mixed.numel(), *parts, first_BT, heads.score_scale, mixed, log_sums, layout)
    return mixed, log_sums


def _attention_arguments(turned_BTE: Tensor, qkv_BTE: Tensor, heads: Heads) -> tuple[int, Tensor, tuple[Tensor, Tensor, Tensor]]:
    rows, tokens = qkv_BTE.shape[:2]
    stride = turned_BTE.size(-1)
    layout = sizes(rows, tokens, heads.query, heads.key, heads.width, stride, stride, heads.projected, heads.projected)
    key = heads.query * heads.width
    return stride, layout, (turned_BTE, turned_BTE[..., key:], qkv_BTE[..., heads.turned :])


def causal_attention(qkv_BTE: Tensor, turn: Turn, first_BT: Tensor | None, heads: Heads) -> Tensor:
    """softmax(Q K^T scale) V of a fused projection, queries and keys turned first, each query seeing first ... itself."""
    return _CausalAttention.apply(qkv_BTE, turn, *turn[2:], first_BT, heads)


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv_BTE: Tensor, angles: Turn, q_weight: Tensor | None, k_weight: Tensor | None, first_BT: Tensor | None, heads: Heads
    ) -> Tensor:
        qkv_BTE = qkv_BTE.contiguous()
        turn = (angles[0], angles[1], q_weight, k_weight)
        plain = turn[0] is None and q_weight is None
        turned = qkv_BTE if plain else turn_heads(qkv_BTE, turn, heads)
        mixed, log_sums = attend(turned, qkv_BTE, first_BT, heads)
        ctx.save_for_backward(qkv_BTE, turned, mixed, log_sums, first_BT, *turn)
        ctx.heads, ctx.plain = heads, plain
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        qkv_BTE, turned, mixed, log_sums, first_BT, *turn = ctx.saved_tensors
        heads: Heads = ctx.heads
        gradient, of_qkv = grad_outputs[0].contiguous(), torch.empty_like(qkv_BTE)
        _, layout, parts = _attention_arguments(turned, qkv_BTE, heads)
        _, _, places = _attention_arguments(of_qkv, of_qkv, heads)
        call("attention_backward", mixed.numel(), *parts, first_BT, heads.score_scale, mixed, log_sums, gradient, *places, layout)
        of_weights = torch.empty(2, heads.width) if turn[2] is not None else None
        if not ctx.plain:
            layout = _turn_sizes(qkv_BTE, (turn[0], turn[1], turn[2], turn[3]), heads)
            call("rotary_backward", of_qkv.numel(), qkv_BTE, *turn, heads.eps, heads.shift, of_qkv, of_weights, layout)
        of_q, of_k = (None, None) if of_weights is None else of_weights.to(qkv_BTE.dtype)
        return of_qkv, None, of_q, of_k, None, None


def cross_entropy_(logits_nV: Tensor, targets_n: Tensor, weights_n: Tensor, smoothing: float, *, with_gradient: bool) -> Tensor:
    """Nats [n] of the targets; with a gradient, the logits become weight times the gradient of the nats, in place."""
    nats, (rows, vocabulary) = torch.empty(logits_nV.size(0)), logits_nV.shape
    written = (logits_nV, targets_n, weights_n, smoothing, nats)
    call("cross_entropy", logits_nV.numel(), *written, rows, vocabulary, logits_nV.stride(0), with_gradient)
    return nats


def gradient_norm(gradients: Sequence[Tensor]) -> float:
    """sqrt of the sum of all squares, over bf16 gradients."""
    sums = torch.empty(len(gradients), dtype=torch.float64)
    for gradient, total in zip(gradients, sums, strict=True):
        call("sum_of_squares", gradient.numel(), gradient.contiguous(), gradient.numel(), total)
    return float(sums.sum().sqrt())


def adamw_(
    weight: Tensor, master: Tensor, state: MutableMapping[str, Tensor], gradient: Tensor, group: Mapping[str, Any], scale: float
) -> None:
    """torch.optim.AdamW for one weight, in place: fp32 `master` and `state`, bf16 gradient (times `scale`) and bf16 `weight`."""
    if not state:
        state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(master), exp_avg_sq=torch.zeros_like(master))
    state["step"] += 1
    steps, (beta1, beta2) = float(state["step"]), group["betas"]
    corrections = (1 - beta1**steps, 1 - beta2**steps)
    numbers = torch.tensor(
        [float(group["lr"]), group["weight_decay"], beta1, beta2, group["eps"], *corrections, scale], dtype=torch.float32
    )
    call("adamw", weight.numel(), weight, master, state["exp_avg"], state["exp_avg_sq"], gradient, weight.numel(), numbers)
