"""Matrices in few bits as the compiled kernels read them.

In: a matrix. Out: its tiles of 16 rows, with the codes that `hanmo.model.rounding` finds, or bf16 in 12 bits, not a bit lost
(halves.h).
Never here: which matrices a network has (quantized). N rows, K columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.kernels.library import LANES, call, sizes
from hanmo.model.rounding import GROUP, Bits

ALL = 1 << 20
"""Work enough for every thread."""
CODE_BYTES = {4: 256, 5: 256, 8: 512}
"""Of a group in a tile, by the kinds of matrix in matrix.h."""
NARROW_COLUMNS, NARROW_BYTES = 8, 192
"""Of a part of a tile of bf16 in 12 bits (Narrow in halves.h)."""


@dataclass(frozen=True)
class Packed:
    """A matrix [N, K] as the kernels read it: tiles of 16 rows, a row a lane (matrix.h)."""

    codes: Tensor
    scales: Tensor
    leasts: Tensor | None
    bias: Tensor | None
    rows: int
    columns: int
    bits: int

    @property
    def bytes(self) -> int:
        """Bytes that one pass over the matrix reads."""
        return sum(part.numel() * part.element_size() for part in (self.codes, self.scales, self.leasts) if part is not None)

    def words(self) -> list[int]:
        """The fields of `Matrix` in matrix.h."""
        addresses = [address(part) for part in (self.codes, self.scales, self.leasts, self.bias)]
        return [*addresses, self.rows, self.columns, self.bits]


def pack(weight_NK: Float[Tensor, "N K"], bias_N: Tensor | None, bits: Bits) -> Packed:
    """The matrix in the kernels' layout, with the codes that `hanmo.model.rounding` finds (int4: but for ties between scales).

    Raises ModelError when K is not a multiple of the group.
    """
    rows, columns = weight_NK.shape
    if columns % GROUP:
        raise ModelError(f"a matrix with {columns} columns cannot be quantised: it should have a multiple of {GROUP}")
    bias = None if bias_N is None else bias_N.float().contiguous()
    if bits == "bfloat16":
        halves = weight_NK.bfloat16().contiguous()
        return _narrowed(halves, bias) or _in_tiles(halves, bias)
    weight = (weight_NK if weight_NK.dtype == torch.bfloat16 else weight_NK.float()).contiguous()
    for kind in (8,) if bits == "int8" else (5, 4):
        shape, uneven = (-(-rows // LANES), columns // GROUP), sizes(0)
        codes, scales = torch.empty(*shape, CODE_BYTES[kind], dtype=torch.uint8), torch.empty(*shape, LANES, dtype=torch.float16)
        leasts = torch.empty_like(scales) if kind == 5 else None
        call("round_weights", ALL, weight, weight.dtype == torch.bfloat16, rows, columns, kind, codes, scales, leasts, uneven)
        if not uneven.item():
            return Packed(codes, scales, leasts, bias, rows, columns, kind)
    raise AssertionError("four bits without a least value hold any matrix")


def _narrowed(weight_NK: Tensor, bias_N: Tensor | None) -> Packed | None:
    """A matrix of bf16 in 12 bits a weight, not a bit lost; None when more than an eighth would have to be kept whole."""
    rows, columns = weight_NK.shape
    shape = (-(-rows // LANES), columns // NARROW_COLUMNS)
    codes, highest = torch.empty(*shape, NARROW_BYTES, dtype=torch.uint8), torch.empty(shape, dtype=torch.int16)
    whole, count = torch.empty(highest.numel() // 8 + 1, LANES * NARROW_COLUMNS, dtype=torch.bfloat16), sizes(0)
    call("narrow_exponents", ALL, weight_NK, rows, columns, codes, highest, whole, len(whole), count)
    kept = int(count)
    return None if kept > len(whole) else Packed(codes, highest, whole[:kept].clone(), bias_N, rows, columns, 12)


def _in_tiles(weight_NK: Tensor, bias_N: Tensor | None) -> Packed:
    """A matrix of bf16 as it is, rows of zeros below, up to whole tiles."""
    rows, columns = weight_NK.shape
    padded = torch.cat([weight_NK, weight_NK.new_zeros(-rows % LANES, columns)])
    codes = padded.view(-1, LANES, columns // 2, 2).transpose(1, 2).contiguous()
    return Packed(codes, torch.empty(0), None, bias_N, rows, columns, 16)


def address(part: Tensor | None) -> int:
    """Where a kernel finds a tensor; 0 for none."""
    return 0 if part is None else part.data_ptr()
