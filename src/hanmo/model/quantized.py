"""A decoder for answering only: weights in 4 or 8 bits or bf16, all blocks in one call of the compiled kernels.

In: a `Decoder`. Out: the same logits up to what the bits lose, a row's numbers to the last bit the same in any batch.
Beside int4 blocks the output projection has int8, because every token pays for its error.
The idea: weights are cut into groups of 32 that share a scale, vectors likewise at every product, so that a group is an exact
sum of whole numbers; bf16 is kept in 12 bits, not a bit lost (halves.h). Where the kernels cannot run, `quantized` gives a plain
decoder with the same rounded weights (but the embedding).
Never here: no gradients. N rows, K columns, G = K / 32 groups, B rows of ids, T positions, D width, V vocabulary.
"""

import copy

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hanmo.base.errors import ModelError
from hanmo.model.attention import HeadScale
from hanmo.model.cache import KVCache
from hanmo.model.config import LayerType
from hanmo.model.decoder import Block, Decoder
from hanmo.model.kernels.functions import ACTIVATION_KINDS
from hanmo.model.kernels.library import available, call, sizes
from hanmo.model.norms import Norm
from hanmo.model.packed import ALL, Packed, address, pack
from hanmo.model.positions import rotary_angles, sinusoidal_positions
from hanmo.model.rounding import GROUP, Bits, rounded

WIDTHS = (32, 64, 96, 128, 256)


@torch.no_grad()
def quantized(network: Decoder, bits: Bits) -> "QuantizedDecoder | Decoder":
    """A decoder with rounded weights: packed where the kernels run, else a plain one, slower, in the same numbers up to rounding."""
    if runs_here(network):
        return QuantizedDecoder(network, bits)
    plain = copy.deepcopy(network)
    for name, parameter in plain.named_parameters():
        if parameter.dim() == 2 and "embed" not in name and parameter.size(1) % GROUP == 0:
            parameter.copy_(rounded(parameter, head_bits(bits) if name.startswith("lm_head") else bits))
    return plain.eval()


class QuantizedDecoder(nn.Module):
    """The blocks of a `Decoder`, packed; answers as a decoder does, and is never moved or saved."""

    def __init__(self, network: Decoder, bits: Bits) -> None:
        super().__init__()
        config = self.config = network.config
        if not runs_here(network):
            raise ModelError("this machine or this model's sizes do not allow the quantised kernels: use the plain decoder")
        self.bits: Bits = bits
        self.embed_tokens = nn.Embedding.from_pretrained(network.embed_tokens.weight.detach().bfloat16())
        self._positions = None if network.position_embedding is None else network.position_embedding.weight.detach().float()
        self._head = pack(network.output_weight.detach(), None, head_bits(bits))
        self._norm = _floats(network.final_norm)
        self._scale = torch.tensor(config.hidden_size**0.5 if config.scale_embedding else 1.0).bfloat16().float()
        self._matrices: list[Packed] = []
        self._parts: list[Tensor | None] = []  # what the addresses in `_layers` point to
        self._layers = torch.tensor([self._packed(block) for block in network.blocks()], dtype=torch.int64)
        self._angles: dict[LayerType, tuple[Tensor, Tensor]] = {}
        self._shape = [config.hidden_size, config.num_attention_heads, config.key_value_heads, config.head_width, config.mlp_width]
        self._kinds = [int(config.norm == "layer_norm"), int(config.gated_mlp), ACTIVATION_KINDS[config.hidden_act]]

    def _packed(self, block: Block) -> list[int]:
        """The fields of `Layer` in forward.cpp; the angles come with `_turn`."""
        attention, mlp = block.attention, block.mlp
        matrices = [pack(each.weight.detach(), each.bias, self.bits) for each in (attention.qkv, attention.out, mlp.up, mlp.down)]
        norms = (block.attention_norm, block.attention_post_norm, block.mlp_norm, block.mlp_post_norm)
        parts = [part for norm in norms for part in _floats(norm)]
        parts += [_floats(each)[0] for each in (attention.q_norm, attention.k_norm)]
        self._matrices += matrices
        self._parts += parts
        window = self.config.window_of(self.config.layer_type(len(self._matrices) // 4 - 1))
        return [word for matrix in matrices for word in matrix.words()] + [address(part) for part in parts] + [0, 0, window or 0]

    @property
    def bytes(self) -> int:
        """Bytes of weights that one step reads."""
        return sum(matrix.bytes for matrix in (*self._matrices, self._head))

    def new_cache(self, rows: int, slots: int, starts_B: Tensor | None = None) -> KVCache:
        """Empty memory for some rows."""
        return KVCache(self.config, rows, slots, dtype=torch.bfloat16, starts_B=starts_B)

    def last_logits(self, ids_BT: Int[Tensor, "B T"], cache: KVCache) -> Float[Tensor, "B V"]:
        """Logits of what follows each row; `cache` holds what came before."""
        return self.logits(self.hidden(ids_BT, cache=cache)[:, -1])

    def logits(self, hidden_D: Float[Tensor, "*n D"]) -> Float[Tensor, "*n V"]:
        """The output projection, fp32."""
        rows = hidden_D.reshape(-1, self.config.hidden_size).contiguous()
        y = torch.empty(*hidden_D.shape[:-1], self._head.rows)
        call("forward_head", self._head.rows * 64, torch.tensor(self._head.words()), rows, rows.size(0), y)
        return y

    def hidden(self, ids_BT: Int[Tensor, "B T"], *, cache: KVCache | None = None) -> Float[Tensor, "B T D"]:
        """The last hidden state, normalised, fp32; new keys and values are in the cache.

        Raises ModelError for a context longer than the positions the network knows.
        """
        cache = self.new_cache(ids_BT.size(0), ids_BT.size(1)) if cache is None else cache
        longest = cache.length - int(cache.starts_B.min()) + ids_BT.size(1)
        if longest > self.config.max_position_embeddings and self.config.position_embedding == "learned":
            raise ModelError(f"{longest} tokens exceed max_position_embeddings (={self.config.max_position_embeddings})")
        rows, new = ids_BT.shape
        x_BTD = self._embed(ids_BT, cache)
        self._turn(longest)
        shape = sizes(len(self._layers), rows * new, new, cache.length, *self._shape, *self._kinds, *cache.keys.stride()[:3])
        numbers = (self.config.norm_eps, self.config.attention_scale)
        call("forward_blocks", ALL, self._layers, shape, *numbers, *self._norm, cache.starts_B, x_BTD, cache.keys, cache.values)
        cache.length += new
        return x_BTD

    def _turn(self, positions: int) -> None:
        """See that the rotary angles reach as far as the positions."""
        if self.config.position_embedding != "rotary" or any(len(cos) >= positions for cos, _ in self._angles.values()):
            return
        every = torch.arange(max(512, 2 * positions))[None]
        for kind in self.config.kinds_of_layer:
            cos_1TP, sin_1TP = rotary_angles(every, self.config.head_width, *self.config.rotary_of(kind))
            self._angles[kind] = cos_1TP[0].contiguous(), sin_1TP[0].contiguous()
        for layer, words in enumerate(self._layers):
            words[-3:-1] = torch.tensor([part.data_ptr() for part in self._angles[self.config.layer_type(layer)]])

    def _embed(self, ids_BT: Tensor, cache: KVCache) -> Tensor:
        x_BTD = self.embed_tokens.weight[ids_BT].float() * self._scale
        if self.config.position_embedding not in ("learned", "sinusoidal"):
            return x_BTD
        slots_1T = torch.arange(cache.length, cache.length + ids_BT.size(1))[None]
        positions_BT = slots_1T - torch.minimum(cache.starts_B[:, None], slots_1T)
        if self._positions is not None:
            return x_BTD + self._positions[positions_BT]
        return x_BTD + sinusoidal_positions(torch.arange(int(positions_BT.max()) + 1), self.config.hidden_size)[positions_BT]


def head_bits(bits: Bits) -> Bits:
    """What the output projection has beside blocks of `bits`."""
    return "int8" if bits == "int4" else bits


def runs_here(network: Decoder) -> bool:
    """Whether the kernels are there and the sizes fit them."""
    config = network.config
    sides = (config.hidden_size, config.mlp_width, config.num_attention_heads * config.head_width)
    fits = all(side % GROUP == 0 for side in sides) and config.head_width in WIDTHS
    return fits and network.embed_tokens.weight.device.type == "cpu" and available()


def _floats(norm: Norm | HeadScale | None) -> tuple[Tensor | None, Tensor | None]:
    """Weight and bias as the kernels multiply and add them."""
    if norm is None:
        return None, None
    bias = getattr(norm, "bias", None)
    return norm.weight.detach().float() + norm.shift, None if bias is None else bias.detach().float()
