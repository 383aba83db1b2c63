"""From a network's configuration to the network, with weights that the seed alone decides."""

import torch

from hanmo.base.errors import ConfigError
from hanmo.base.runtime import derive_seed
from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.train.config import TrainConfig

NetworkConfig = DecoderConfig | RecurrentConfig | EncoderConfig | EncoderDecoderConfig
Network = Decoder | Recurrent | SoftmaxRegression | Encoder | EncoderDecoder


def make_network(config: NetworkConfig, seed: int) -> Network:
    """The network with its initial fp32 weights, which depend on the seed alone."""
    torch.manual_seed(derive_seed(seed, "weights"))
    network: Network
    match config:
        case DecoderConfig():
            network = Decoder(config)
        case RecurrentConfig():
            network = Recurrent(config)
        case EncoderConfig():
            network = Encoder(config)
        case EncoderDecoderConfig():
            network = EncoderDecoder(config)
    return network.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def compile_network(network: Network, config: TrainConfig) -> None:
    """Put a compiled forward pass in the place of a decoder's own, when the settings ask for it or a GPU makes it pay."""
    on_gpu = next(network.parameters()).device.type == "cuda"
    if isinstance(network, Decoder) and (config.compile == "on" or (config.compile == "auto" and on_gpu)):
        setattr(network, "hidden", torch.compile(network.hidden))  # noqa: B010 - an attribute in front of the method


def context_of(model: NetworkConfig, asked: int) -> int:
    """Positions in a row: those asked for, or as many as the network has.

    Raises ConfigError for a network without a default, and for more than an encoder has.
    """
    most = model.context_length
    if not asked and not most:
        raise ConfigError("train.context_length (=0) has no default for this kind of network: set it")
    if isinstance(model, EncoderConfig) and asked > most:
        raise ConfigError(f"train.context_length (={asked}) exceeds the {most} positions of the encoder: raise its max_position_embeddings")
    return asked or most
