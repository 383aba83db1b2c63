"""The decoder: embedding, blocks of attention and MLP, final norm, logits.

One module for GPT-2 (learned positions, LayerNorm, GELU) and the modern recipe (rotary, RMSNorm, SwiGLU, grouped
queries); which, is `DecoderConfig`'s word. B rows, T positions, D width, V vocabulary.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hanmo.base.errors import ModelError
from hanmo.model.attention import Angles, Attention, AttentionMask, first_of_segment
from hanmo.model.cache import KVCache
from hanmo.model.config import DecoderConfig, LayerType
from hanmo.model.kernels.functions import dropout
from hanmo.model.kernels.library import usable
from hanmo.model.mlp import MLP
from hanmo.model.next_token import NextTokenNetwork
from hanmo.model.norms import Norm
from hanmo.model.positions import rotary_angles, sinusoidal_positions

View = tuple[Angles | None, AttentionMask]
"""What a layer knows of places: the rotary angles, and which keys may be seen."""


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x): norms before, as in GPT-2 (Radford et al. 2019, section 2.3).

    With `sandwich_norm` what is added is normalised too (Ding et al. 2021, section 3.3).
    """

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = _norm(config)
        self.attention = Attention(config, layer)
        self.attention_post_norm = _norm(config) if config.sandwich_norm else None
        self.mlp_norm = _norm(config)
        self.mlp = MLP(config)
        self.mlp_post_norm = _norm(config) if config.sandwich_norm else None
        self.dropout = config.hidden_dropout

    def forward(
        self, x_BTD: Tensor, update_BTD: Tensor | None, angles: Angles | None, mask: AttentionMask, cache: KVCache | None = None
    ) -> tuple[Tensor, Tensor]:
        """The stream x and what is still to be added to it, both [B, T, D]: the next norm adds it in its own pass."""
        return self.transform(*self.attend(x_BTD, update_BTD, angles, mask, cache))

    def attend(
        self, x_BTD: Tensor, update_BTD: Tensor | None, angles: Angles | None, mask: AttentionMask, cache: KVCache | None = None
    ) -> tuple[Tensor, Tensor]:
        """The first half: the stream with the update in it, and what attention adds."""
        x_BTD, normed_BTD = self.attention_norm.add(x_BTD, update_BTD)
        return x_BTD, self._finish(self.attention(normed_BTD, angles, mask, cache), self.attention_post_norm)

    def transform(self, x_BTD: Tensor, update_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """The second half: the stream with the update in it, and what the MLP adds."""
        x_BTD, normed_BTD = self.mlp_norm.add(x_BTD, update_BTD)
        return x_BTD, self._finish(self.mlp(normed_BTD), self.mlp_post_norm)

    def _finish(self, x_BTD: Tensor, norm: Norm | None) -> Tensor:
        """A sub-layer's output, normalised when there is a norm for it, with dropout in training."""
        x_BTD = x_BTD if norm is None else norm(x_BTD)
        return drop(x_BTD, self.dropout) if self.training else x_BTD


def _norm(config: DecoderConfig) -> Norm:
    return Norm(config.norm, config.hidden_size, config.norm_eps, zero_centered=config.zero_centered_norm)


def drop(x: Tensor, share: float) -> Tensor:
    """Each value zero with probability `share`, the others scaled up to keep the mean (Srivastava et al. 2014)."""
    if not share:
        return x
    return dropout(x, share) if usable(x) else F.dropout(x, share)


class Decoder(NextTokenNetwork):
    """A causal language model.

    Raises ModelError when `config.vocab_size` is not set.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ModelError(f"vocab_size (={config.vocab_size}) should be at least 1: it comes from the tokenizer")
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        learned = config.position_embedding == "learned"
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size) if learned else None
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.final_norm = _norm(config)
        self.lm_head = None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.reset()

    def reset(self) -> None:
        """Draw initial weights: normal with `initializer_range`, output projections of sub-layers smaller by sqrt(2 L) (GPT-2)."""
        deviation = self.config.initializer_range
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                residual = name.endswith(("attention.out.weight", "mlp.down.weight"))
                nn.init.normal_(parameter, std=deviation / (2 * self.config.num_hidden_layers) ** 0.5 if residual else deviation)

    def blocks(self) -> list[Block]:
        """The layers, by their type."""
        return [layer for layer in self.layers if isinstance(layer, Block)]

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that turns the last hidden state into logits."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def forward(
        self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None, cache: KVCache | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits of what follows each position."""
        return self.logits(self.hidden(ids_BT, segments_BT, cache))

    def new_cache(self, rows: int, slots: int, starts_B: Tensor | None = None) -> KVCache:
        """Empty memory for some rows, in the weights' type."""
        weight = self.embed_tokens.weight
        return KVCache(self.config, rows, slots, dtype=weight.dtype, device=weight.device, starts_B=starts_B)

    def hidden(
        self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None, cache: KVCache | None = None
    ) -> Float[Tensor, "B T D"]:
        """The last hidden state, normalised.

        `segments_BT` isolates documents that share a row and lets positions start again in each. Raises ModelError for
        a context longer than the positions the network knows.
        """
        x_BTD, views = self.begin(ids_BT, segments_BT, cache)
        update_BTD = None
        for layer, view in zip(self.layers, views, strict=True):
            x_BTD, update_BTD = layer(x_BTD, update_BTD, *view, cache)
        if cache is not None:
            cache.length += ids_BT.size(1)
        return self.final_norm.add(x_BTD, update_BTD)[1]

    def begin(
        self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None, cache: KVCache | None = None
    ) -> tuple[Float[Tensor, "B T D"], list[View]]:
        """The stream before the first block, and what each layer knows of places.

        Raises ModelError for a context longer than the positions the network knows.
        """
        past = cache.length - int(cache.starts_B.min()) if cache is not None else 0
        if past + ids_BT.size(1) > self.config.max_position_embeddings and self.config.position_embedding == "learned":
            raise ModelError(f"{past + ids_BT.size(1)} tokens exceed max_position_embeddings (={self.config.max_position_embeddings})")
        mask = _attention_mask(ids_BT, segments_BT, cache)
        positions_BT = _positions(mask, ids_BT.device)
        views = {kind: self._view(kind, mask, positions_BT) for kind in self.config.kinds_of_layer}
        return self._embed(ids_BT, positions_BT), [views[self.config.layer_type(i)] for i in range(len(self.layers))]

    def _view(self, kind: LayerType, mask: AttentionMask, positions_BT: Tensor) -> View:
        """Angles and mask of all layers of one type."""
        mask = mask.within(self.config.window_of(kind), positions_BT.device)
        if self.config.position_embedding != "rotary":
            return None, mask
        return rotary_angles(positions_BT, self.config.head_width, *self.config.rotary_of(kind)), mask

    def _embed(self, ids_BT: Tensor, positions_BT: Tensor) -> Tensor:
        x_BTD = self.embed_tokens(ids_BT)
        if self.config.scale_embedding:  # by a number that the weights' type holds, as transformers does
            x_BTD = x_BTD * torch.tensor(self.config.hidden_size**0.5, dtype=x_BTD.dtype, device=x_BTD.device)
        if self.position_embedding is not None:
            x_BTD = x_BTD + self.position_embedding(positions_BT)
        elif self.config.position_embedding == "sinusoidal":
            table = sinusoidal_positions(torch.arange(int(positions_BT.max()) + 1, device=ids_BT.device), self.config.hidden_size)
            x_BTD = x_BTD + table.to(x_BTD.dtype)[positions_BT]
        return drop(x_BTD, self.config.embedding_dropout) if self.training else x_BTD


def _attention_mask(ids_BT: Tensor, segments_BT: Tensor | None, cache: KVCache | None) -> AttentionMask:
    """What each query may see: its segment, the tokens behind its row's padding, and always itself."""
    rows, queries = ids_BT.shape
    if segments_BT is not None:
        return AttentionMask(queries, 0, first_of_segment(segments_BT))
    if cache is None:
        return AttentionMask(queries, rows=rows)
    if not cache.starts_B.any():
        return AttentionMask(queries, cache.length, rows=rows)
    own_T = torch.arange(cache.length, cache.length + queries, device=ids_BT.device)
    return AttentionMask(queries, cache.length, torch.minimum(cache.starts_B[:, None], own_T))


def _positions(mask: AttentionMask, device: torch.device) -> Tensor:
    """[1 or B, T]: positions count from the first token that is seen, of a row, of a segment, or behind padding."""
    own_1T = torch.arange(mask.past, mask.past + mask.queries, device=device)[None]
    return own_1T if mask.first_BT is None else own_1T - mask.first_BT
