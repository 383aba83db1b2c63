"""Which network a recipe trains, and what it takes from the tokenizer; no torch here."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

from hanmo.base.errors import ConfigError
from hanmo.batches.config import network_kind
from hanmo.model.config import DecoderConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.train.config import TrainConfig

if TYPE_CHECKING:
    from hanmo.tokenizer.load import Tokenizer

Transformer = DecoderConfig | EncoderConfig | EncoderDecoderConfig
NetworkChoice = Literal["auto", "decoder", "encoder", "encoder_decoder"]


class Choosing(Protocol):
    """What a recipe, or the options of `pretrain`, say about the network."""

    @property
    def network(self) -> NetworkChoice: ...  # noqa: D102
    @property
    def model(self) -> DecoderConfig: ...  # noqa: D102
    @property
    def encoder(self) -> EncoderConfig: ...  # noqa: D102
    @property
    def encoder_decoder(self) -> EncoderDecoderConfig: ...  # noqa: D102
    @property
    def train(self) -> TrainConfig: ...  # noqa: D102


def chosen_network(options: Choosing) -> tuple[str, Transformer]:
    """The section that describes the network, and the network: the one the objective is for, or the one asked for.

    Raises ConfigError when the two do not go together.
    """
    kind = network_kind(options.train.objective, options.network)
    if kind == "encoder":
        return kind, options.encoder
    return (kind, options.encoder_decoder) if kind == "encoder_decoder" else ("model", options.model)


def network_for(options: Choosing, tokenizer: "Tokenizer") -> Transformer:
    """The chosen network with the vocabulary and the special tokens of its tokenizer.

    Raises ConfigError when it has fewer rows than the tokenizer has ids.
    """
    section, chosen = chosen_network(options)
    if 0 < chosen.vocab_size < tokenizer.vocab_size:
        raise ConfigError(
            f"{section}.vocab_size (={chosen.vocab_size}) is smaller than the tokenizer's (={tokenizer.vocab_size}): "
            "leave it out, or raise it"
        )
    size, end = chosen.vocab_size or tokenizer.vocab_size, tokenizer.eot_id
    if isinstance(chosen, DecoderConfig):
        return replace(chosen, vocab_size=size, bos_token_id=end, eos_token_id=end)
    padding = tokenizer.special_id("pad_token") if chosen.pad_token_id is None else chosen.pad_token_id
    return replace(chosen, vocab_size=size, bos_token_id=end, eos_token_id=end, pad_token_id=padding)
