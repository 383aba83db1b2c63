"""An encoder, and a decoder that attends to what it read: the Transformer of 2017, T5, Marian.

In: ids of the source, ids of the target so far. Out: logits of what follows each target position. The source is read once:
`EncoderDecoderCache` keeps the keys and values that every decoder layer makes of it, and those of the target while it is written.
B rows, S positions of the source, T positions of the target, D width, V vocabulary, H heads.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hanmo.base.errors import ModelError
from hanmo.model.attention import causal_mask
from hanmo.model.block import EncoderBlock, Keep
from hanmo.model.cross_attention import KeysValues, hidden_as_infinity
from hanmo.model.decoder import drop
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.likelihood import linear_negative_log_likelihood
from hanmo.model.norms import Norm
from hanmo.model.positions import halves, relative_buckets, sinusoidal_positions


class EncoderDecoderCache:
    """What a decoder remembers: the source as each layer's keys and values, and the target read so far.

    Rows of different lengths all end at the same place: `starts_B` is where each begins. Several rows may read one source.
    """

    def __init__(self, source: Sequence[KeysValues], seen_B11S: Tensor | None) -> None:
        keys = source[0][0]
        self.source = list(source)
        self.seen_B11S = seen_B11S
        """Which source tokens are no padding; None for all."""
        self.target: list[KeysValues | None] = [None] * len(self.source)
        self.length = 0
        """Target positions read so far, the longest row's."""
        self.starts_B = torch.zeros(keys.size(0), dtype=torch.long, device=keys.device)
        self._readers_B = torch.arange(keys.size(0), device=keys.device)

    def keeping(self, layer: int) -> Keep:
        """How one layer stores new keys and values and sees all so far."""

        def keep(new: KeysValues) -> KeysValues:
            old = self.target[layer]
            both = new if old is None else (torch.cat([old[0], new[0]], 2), torch.cat([old[1], new[1]], 2))
            self.target[layer] = both
            return both

        return keep

    def keep(self, rows_B: Tensor) -> None:
        """Keep these rows, in this order; the source is left alone where every row goes on with the one it had (beams of one text)."""
        readers_B = self._readers_B[rows_B]
        if not torch.equal(readers_B, self._readers_B):
            self.source = [(k[rows_B], v[rows_B]) for k, v in self.source]
            self.seen_B11S = None if self.seen_B11S is None else self.seen_B11S[rows_B]
        self.target = [None if each is None else (each[0][rows_B], each[1][rows_B]) for each in self.target]
        self._readers_B, self.starts_B = readers_B, self.starts_B[rows_B]

    def allowed(self, queries: int) -> Tensor | None:
        """Which target positions the next `queries` ones see, [B, 1, T, keys]: those before them, from where their row begins."""
        keys = self.length + queries
        if not self.starts_B.any():
            return None if queries == 1 else causal_mask(queries, keys, self.starts_B.device)[:, None]
        places = torch.arange(keys, device=self.starts_B.device)
        return causal_mask(queries, keys, self.starts_B.device)[:, None] & (places >= self.starts_B[:, None])[:, None, None]

    @classmethod
    def joined(cls, some: "EncoderDecoderCache", others: "EncoderDecoderCache") -> "EncoderDecoderCache":
        """The rows of two memories that have read something, one below the other; targets are padded on the left, sources on the right."""
        both = (some, others)
        longest = max(each.length - int(each.starts_B.min()) for each in both)
        size = max(each.source[0][0].size(2) for each in both)
        seen_B11S = torch.cat([each._seen(size) for each in both])
        source = [_below(a, b, size, at_start=False) for a, b in zip(some.source, others.source, strict=True)]
        made = cls(source, None if bool(seen_B11S.all()) else seen_B11S)
        pairs = zip(some.target, others.target, strict=True)
        made.target = [_below(a, b, longest, at_start=True) for a, b in pairs if a is not None and b is not None]
        made.starts_B = torch.cat([each.starts_B + (longest - each.length) for each in both])
        made.length = longest
        return made

    def _seen(self, size: int) -> Tensor:
        """Which of `size` source places are no padding, [B, 1, 1, S]."""
        keys = self.source[0][0]
        seen_B11S = keys.new_ones(keys.size(0), 1, 1, keys.size(2), dtype=torch.bool) if self.seen_B11S is None else self.seen_B11S
        return F.pad(seen_B11S, (0, size - keys.size(2)))


def _below(some: KeysValues, others: KeysValues, size: int, *, at_start: bool) -> KeysValues:
    """Keys and values one below the other, each `size` long: zeros are added, or padding cut, at the start or at the end."""

    def sized(x_BHSW: Tensor) -> Tensor:
        more = size - x_BHSW.size(2)
        return F.pad(x_BHSW, (0, 0, more, 0) if at_start else (0, 0, 0, more))

    keys, values = (torch.cat([sized(a), sized(b)]) for a, b in zip(some, others, strict=True))
    return keys, values


class Half(nn.Module):
    """A stack of blocks with its learned distances and its last norm, where it has them."""

    def __init__(self, config: EncoderDecoderConfig, layers: int, *, is_decoder: bool) -> None:
        super().__init__()
        self.config, self.is_decoder = config, is_decoder
        relative = config.position_embedding == "relative"
        self.relative_bias = nn.Embedding(config.relative_attention_num_buckets, config.num_attention_heads) if relative else None
        self.layers = nn.ModuleList(EncoderBlock(config, with_memory=is_decoder) for _ in range(layers))
        self.final_norm = None if config.post_norm else Norm(config.norm, config.hidden_size, config.norm_eps)

    def forward(self, x_BTD: Tensor, allowed: Tensor | None, memory: EncoderDecoderCache | None = None, *, keep: bool = False) -> Tensor:
        """[B, T, D] -> [B, T, D]; `allowed` [#B, 1, #T, keys] hides keys; with `keep` the memory grows by these positions."""
        past = memory.length if memory is not None else 0
        seen = self._seen(allowed, past, past + x_BTD.size(1), x_BTD)
        for number, layer in enumerate(self.layers):
            if memory is None:
                x_BTD = layer(x_BTD, seen)
            else:
                kept = memory.keeping(number) if keep else None
                x_BTD = layer(x_BTD, seen, keep=kept, memory=memory.source[number], memory_seen=memory.seen_B11S)
        if self.final_norm is None:
            return x_BTD
        x_BTD = self.final_norm(x_BTD)
        return drop(x_BTD, self.config.hidden_dropout) if self.training else x_BTD

    def _seen(self, allowed: Tensor | None, past: int, keys: int, like: Tensor) -> Tensor | None:
        """What hides keys, together with the bias of distances where there is one."""
        if self.relative_bias is None:
            return allowed
        places = torch.arange(keys, device=like.device)
        distance_TS = places[None] - places[past:, None]
        buckets, most = self.config.relative_attention_num_buckets, self.config.relative_attention_max_distance
        bucket_TS = relative_buckets(distance_TS, buckets, most, both_ways=not self.is_decoder)
        bias_1HTS = self.relative_bias(bucket_TS).permute(2, 0, 1)[None].to(like.dtype)
        return bias_1HTS if allowed is None else hidden_as_infinity(allowed, bias_1HTS)


class EncoderDecoder(nn.Module):
    """A network that writes one text while reading another.

    Raises ModelError when `config.vocab_size` is not set.
    """

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ModelError(f"vocab_size (={config.vocab_size}) should be at least 1: it comes from the tokenizer")
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.encoder = Half(config, config.num_hidden_layers, is_decoder=False)
        self.decoder = Half(config, config.decoder_layers, is_decoder=True)
        self.lm_head = None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.output_bias: Tensor | None
        self.register_buffer("output_bias", torch.zeros(1, config.vocab_size) if config.output_bias else None)
        self.reset()

    def reset(self) -> None:
        """Draw initial weights, so that scores and logits begin near 1 in size.

        Where scores are scaled: normal with `initializer_range`. Where they are not (T5): a matrix with D inputs gets
        D^-0.5, queries (D W)^-0.5, the embedding 1 where the output is scaled (Raffel et al. 2020 and its code base).
        """
        config = self.config
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=config.initializer_range if config.scaled_scores else self._deviation(name, parameter))

    def _deviation(self, name: str, parameter: Tensor) -> float:
        width = self.config.hidden_size**-0.5
        if name == "embed_tokens.weight":
            return 1.0 if self.config.scale_output or not self.config.tie_word_embeddings else width
        if name.endswith("relative_bias.weight"):
            return width
        return parameter.size(1) ** -0.5 * (self.config.head_width**-0.5 if name.endswith(".query.weight") else 1.0)

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that turns the last hidden state into logits."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def forward(
        self, source_BS: Int[Tensor, "B S"], ids_BT: Int[Tensor, "B T"], source_seen_BS: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits of what follows each target position, `ids_BT` beginning with the start token."""
        return self.logits(self.decode(ids_BT, self.remember(source_BS, source_seen_BS)))

    def read(self, source_BS: Int[Tensor, "B S"], source_seen_BS: Bool[Tensor, "B S"] | None = None) -> Float[Tensor, "B S D"]:
        """The encoder's last state; `source_seen_BS` is False where a row is padding."""
        return self.encoder(self._embed(source_BS), None if source_seen_BS is None else source_seen_BS[:, None, None])

    def remember(self, source_BS: Int[Tensor, "B S"], source_seen_BS: Bool[Tensor, "B S"] | None = None) -> EncoderDecoderCache:
        """Read the source, and make of it what every decoder layer attends to."""
        read_BSD = self.read(source_BS, source_seen_BS)
        source = [layer.remember(read_BSD) for layer in self.decoder.layers if isinstance(layer, EncoderBlock)]
        return EncoderDecoderCache(source, None if source_seen_BS is None else source_seen_BS[:, None, None])

    def decode(self, ids_BT: Int[Tensor, "B T"], memory: EncoderDecoderCache, *, keep: bool = False) -> Float[Tensor, "B T D"]:
        """The last hidden state of target positions that follow those in `memory`, which grows by them when `keep` is asked for."""
        length = ids_BT.size(1)
        x_BTD = self.decoder(self._embed(ids_BT, memory.length - memory.starts_B), memory.allowed(length), memory, keep=keep)
        if keep:
            memory.length += length
        return x_BTD

    def logits(self, hidden_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T V"]:
        """Output projection with all that belongs to it."""
        return F.linear(self._scaled(hidden_BTD), self.output_weight, None if self.output_bias is None else self.output_bias[0])

    def loss(
        self,
        ids_BT: Int[Tensor, "B T"],
        targets_BT: Int[Tensor, "B T"],
        weights_BT: Float[Tensor, "B T"],
        segments_BT: Int[Tensor, "B T"] | None = None,
        source_BS: Int[Tensor, "B S"] | None = None,
        source_seen_BS: Bool[Tensor, "B S"] | None = None,
        label_smoothing: float = 0.0,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Weighted sum of the negative log-likelihoods of the targets, and the sum of weights, both fp32.

        Raises ModelError without a source, and for several texts in one row.
        """
        if source_BS is None or segments_BT is not None:
            raise ModelError("an encoder-decoder is trained on pairs of source and target, one pair a row")
        if self.output_bias is not None and bool(self.output_bias.any()):
            raise ModelError("this network adds fixed numbers to its logits (final_logits_bias): it is not trained further here")
        hidden_BTD = self._scaled(self.decode(ids_BT, self.remember(source_BS, source_seen_BS)))
        return linear_negative_log_likelihood(hidden_BTD, self.output_weight, targets_BT, weights_BT, label_smoothing)

    def _scaled(self, hidden: Tensor) -> Tensor:
        return hidden * self.config.hidden_size**-0.5 if self.config.scale_output else hidden

    def _embed(self, ids_BT: Tensor, past_B: Tensor | None = None) -> Tensor:
        """Embedding, times sqrt(D) and with sines where the configuration says so (Vaswani et al. 2017, sections 3.4 and 3.5).

        `past_B` is how many tokens of each row were read before.
        """
        x_BTD = self.embed_tokens(ids_BT)
        if self.config.scale_embedding:
            x_BTD = x_BTD * self.config.hidden_size**0.5
        if self.config.position_embedding != "relative":
            end = ids_BT.size(1) + (0 if past_B is None else int(past_B.max()))
            table_PD = sinusoidal_positions(torch.arange(end, device=ids_BT.device), self.config.hidden_size)
            table_PD = halves(table_PD) if self.config.position_embedding == "sinusoidal_halves" else table_PD
            own_BT = torch.arange(ids_BT.size(1), device=ids_BT.device)[None] + (0 if past_B is None else past_B[:, None])
            x_BTD = x_BTD + table_PD.to(x_BTD)[own_BT]
        return drop(x_BTD, self.config.hidden_dropout) if self.training else x_BTD
