"""What happens inside a decoder on its way to the logits: the stream, what each sub-layer adds to it, where attention looks.

In: ids. Out: a `Trace`. The idea: a block's halves (`Block.attend`, `Block.transform`) are the ones that `Decoder.hidden` runs, so a
trace has the logits of the fast path to the last bit, and embedding + all contributions = the stream after the last block, up to
rounding. All is kept in memory: L * H * T * T weights a row.

L blocks, B rows, T positions, D width of the stream, H query heads, V vocabulary.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.decoder import Decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One forward pass, seen from inside."""

    embedding: Float[Tensor, "B T D"]
    """The stream before the first block: tokens, and positions where they are added."""
    stream: Float[Tensor, "L B T D"]
    """The stream after each block, not normalised."""
    attended: Float[Tensor, "L B T D"]
    """What attention adds to the stream in each block, behind the output projection and its norm if it has one."""
    transformed: Float[Tensor, "L B T D"]
    """What the MLP adds to the stream in each block, behind its norm if it has one."""
    weights: Float[Tensor, "L B H T T"]
    """How much of place s goes into place t: [..., t, s], fp32; each row sums to one, and is zero where t may not see s."""
    logits: Float[Tensor, "B T V"]
    """What the network answers."""


def trace(decoder: Decoder, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None) -> Trace:
    """The way of some ids through a decoder; `segments_BT` isolates documents that share a row.

    Gradients flow as in a forward pass: under torch.no_grad() none are kept.
    Raises ModelError for a network that trains, where dropout would give other numbers every time, and for a context
    longer than the positions the network knows.
    """
    if decoder.training:
        raise ModelError("a network in training drops values at random, so that a trace tells nothing: call eval() first")
    embedding_BTD, views = decoder.begin(ids_BT, segments_BT)
    stream, attended, transformed, weights = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
    x_BTD, update_BTD = embedding_BTD, None
    for block, view in zip(decoder.blocks(), views, strict=True):
        x_BTD, attention_BTD = block.attend(x_BTD, update_BTD, *view)
        weights.append(block.attention.weights(block.attention_norm(x_BTD), *view))
        if update_BTD is not None:
            stream.append(x_BTD)
        x_BTD, update_BTD = block.transform(x_BTD, attention_BTD)
        attended.append(attention_BTD)
        transformed.append(update_BTD)
    last_BTD, normed_BTD = decoder.final_norm.add(x_BTD, update_BTD)
    return Trace(
        embedding=embedding_BTD,
        stream=torch.stack([*stream, last_BTD]),
        attended=torch.stack(attended),
        transformed=torch.stack(transformed),
        weights=torch.stack(weights),
        logits=decoder.logits(normed_BTD),
    )
