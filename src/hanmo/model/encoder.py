"""The encoder: ids become states that each have seen the whole text, and a head guesses what was masked.

One module for BERT and RoBERTa; which, is `EncoderConfig`'s word. B rows, T positions, D width, V vocabulary.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hanmo.base.errors import ModelError
from hanmo.model.attention import first_of_segment
from hanmo.model.block import EncoderBlock
from hanmo.model.config import Activation
from hanmo.model.cross_attention import same_segment
from hanmo.model.decoder import drop
from hanmo.model.encoder_config import EncoderConfig
from hanmo.model.likelihood import negative_log_likelihood
from hanmo.model.linear import Linear
from hanmo.model.mlp import activate
from hanmo.model.norms import Norm


class MaskedHead(nn.Module):
    """norm(act(dense x)): the state from which a masked token is guessed, with a bias a token (Devlin et al. 2019)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.kind: Activation = config.hidden_act
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.norm = Norm(config.norm, config.hidden_size, config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return self.norm(activate(self.dense(x), self.kind, gated=False))


class Encoder(nn.Module):
    """A bidirectional encoder.

    Raises ModelError when `config.vocab_size` is not set.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ModelError(f"vocab_size (={config.vocab_size}) should be at least 1: it comes from the tokenizer")
        self.config = config
        width = config.hidden_size
        self.embed_tokens = nn.Embedding(config.vocab_size, width)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, width)
        self.type_embedding = nn.Embedding(config.type_vocab_size, width)
        self.embedding_norm = Norm(config.norm, width, config.norm_eps)
        self.layers = nn.ModuleList(EncoderBlock(config) for _ in range(config.num_hidden_layers))
        self.pooler = Linear(width, width) if config.pooler else None
        self.head = MaskedHead(config) if config.masked_head else None
        untied = config.masked_head and not config.tie_word_embeddings
        self.lm_head = nn.Linear(width, config.vocab_size, bias=False) if untied else None
        self.reset()

    def reset(self) -> None:
        """Draw initial weights: matrices normal with `initializer_range`, biases 0."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=self.config.initializer_range)

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that turns the head's state into logits."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def forward(
        self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None, types_BT: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token at each position itself.

        Raises ModelError when there is no head.
        """
        return self._logits(self.hidden(ids_BT, segments_BT, types_BT))

    def hidden(
        self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None, types_BT: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The last hidden state.

        `segments_BT` keeps texts that share a row apart, padding as one of them; positions start again in each.
        `types_BT` tells the first text (0) from the second (1). Raises ModelError for a text that is too long.
        """
        x_BTD = self.embed(ids_BT, segments_BT, types_BT)
        seen = None if segments_BT is None else same_segment(segments_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, seen)
        return x_BTD

    def embed(self, ids_BT: Tensor, segments_BT: Tensor | None = None, types_BT: Tensor | None = None) -> Tensor:
        """norm(token + position + type), [B, T, D]: what the first block reads."""
        if ids_BT.size(1) > self.config.context_length:
            raise ModelError(f"{ids_BT.size(1)} tokens exceed what the position table holds (={self.config.context_length})")
        own_1T = torch.arange(ids_BT.size(1), device=ids_BT.device)[None]
        positions = own_1T if segments_BT is None else own_1T - first_of_segment(segments_BT)
        types = torch.zeros_like(ids_BT) if types_BT is None else types_BT
        x_BTD = self.embed_tokens(ids_BT) + self.position_embedding(positions + self.config.position_offset) + self.type_embedding(types)
        x_BTD = self.embedding_norm(x_BTD)
        return drop(x_BTD, self.config.hidden_dropout) if self.training else x_BTD

    def summary(self, hidden_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B D"]:
        """tanh(dense) of the first token's state.

        Raises ModelError when there is no pooler.
        """
        if self.pooler is None:
            raise ModelError("this encoder has no pooler (encoder.pooler is false): take the mean or the first token's state")
        return self.pooler(hidden_BTD[:, 0]).tanh()

    def loss(
        self,
        ids_BT: Int[Tensor, "B T"],
        targets_BT: Int[Tensor, "B T"],
        weights_BT: Float[Tensor, "B T"],
        segments_BT: Int[Tensor, "B T"] | None = None,
        label_smoothing: float = 0.0,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Weighted sum of the negative log-likelihoods, and the sum of weights; logits are made where a weight is."""
        counted_n = weights_BT.flatten().nonzero().flatten()
        hidden_nD = self.hidden(ids_BT, segments_BT).flatten(0, 1)[counted_n]
        targets_1n, weights_1n = targets_BT.flatten()[counted_n][None], weights_BT.flatten()[counted_n][None]
        return negative_log_likelihood(self._logits(hidden_nD)[None], targets_1n, weights_1n, label_smoothing)

    def _logits(self, hidden: Tensor) -> Tensor:
        if self.head is None:
            raise ModelError("this encoder has no head for masked tokens (encoder.masked_head is false): it gives states only")
        return F.linear(self.head(hidden), self.output_weight, self.head.bias)
