"""The scales of weights in four bits are fitted to a text: one that is given, or what the model itself writes."""

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from hanmo.base.progress import say
from hanmo.convert.quantize import FitConfig, fit_q4_0, windows_of
from hanmo.data.reading.read import read_any
from hanmo.generate.loaded import TextModel
from hanmo.model.decoder import Decoder
from hanmo.model.kernels.library import attention_usable
from hanmo.tokenizer.load import Tokenizer


def calibrate(network: Decoder, folder: Path, source: str) -> dict[str, float]:
    """Round the network with care, in bf16 where the processor multiplies it faster; gives nats from full precision."""
    config = FitConfig()
    config = dataclasses.replace(config, window=min(config.window, network.config.max_position_embeddings))
    ids_RT = windows_of(_ids(folder, source, config.windows * config.window), config.window)
    dtype = torch.bfloat16 if attention_usable() else torch.float32
    return dataclasses.asdict(fit_q4_0(network, ids_RT, config, dtype))


def _ids(folder: Path, source: str, count: int) -> Tensor:
    """Up to `count` ids of a text, or that many of what the model writes."""
    if source == "self":
        say("the model writes the text that its scales are fitted to")
        return torch.from_numpy(TextModel(folder, dtype="int8").write(count))
    tokenizer, ids = Tokenizer.load(folder), list[int]()
    for document in read_any(source, "train"):
        ids += [tokenizer.eot_id, *tokenizer.encode(document.text).tolist()]
        if len(ids) >= count:
            break
    return torch.tensor(ids[:count])
