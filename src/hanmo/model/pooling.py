"""States of tokens become one vector a text, as the folder of a sentence-transformers model says.

In: states [B, T, D] and which tokens are no padding. Out: vectors [B, D].
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hanmo.base.errors import ModelError, StorageError
from hanmo.base.storage import read_json

PoolingKind = Literal["mean", "cls", "last"]
MODES: dict[str, PoolingKind] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
"""Their words for it; everything else under `pooling_mode_` is refused when it is on."""


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """How a text's vector is made."""

    kind: PoolingKind = "mean"
    """The mean of all tokens' states, the first token's, or the last one's, which in a decoder alone has seen the whole text."""
    normalize: bool = False
    """Whether vectors get length 1."""
    max_tokens: int = 0
    """Longest text, special tokens counted; 0 for what the network can read."""


def pool(states_BTD: Float[Tensor, "B T D"], seen_BT: Bool[Tensor, "B T"], pooling: Pooling) -> Float[Tensor, "B D"]:
    """The mean over seen tokens (Reimers and Gurevych 2019, section 3), the first or the last seen one's state; of length 1 if asked for.

    Seen tokens stand at the beginning.
    """
    if pooling.kind == "cls":
        pooled_BD = states_BTD[:, 0]
    elif pooling.kind == "last":
        pooled_BD = states_BTD[torch.arange(len(states_BTD)), seen_BT.sum(1) - 1]
    else:
        weights_BT1 = seen_BT[..., None].to(states_BTD.dtype)
        pooled_BD = (states_BTD * weights_BT1).sum(1) / weights_BT1.sum(1).clamp(min=1)
    if pooling.normalize:
        pooled_BD = pooled_BD / pooled_BD.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return pooled_BD


def read_pooling(folder: Path) -> Pooling:
    """What `modules.json`, the pooling folder it names and `sentence_bert_config.json` say; the mean where there are none.

    Raises ModelError for a module or a kind of pooling that is not done here.
    """
    if not (folder / "modules.json").is_file():
        return Pooling()
    kind: PoolingKind = "mean"
    normalize = False
    try:
        for module in _modules(folder / "modules.json"):
            name = str(module.get("type", "")).rpartition(".")[2]
            if name == "Pooling":
                kind = _kind(read_json(_inside(folder, module) / "config.json"), folder)
            elif name == "Normalize":
                normalize = True
            elif name != "Transformer":
                raise ModelError(
                    f"{folder / 'modules.json'}: a module of kind {name!r} is not done here: Transformer, Pooling, Normalize are"
                )
        limits = folder / "sentence_bert_config.json"
        longest = read_json(limits).get("max_seq_length") if limits.is_file() else None
    except StorageError as error:
        raise ModelError(str(error)) from error
    return Pooling(kind=kind, normalize=normalize, max_tokens=longest if isinstance(longest, int) and longest > 0 else 0)


def _modules(path: Path) -> list[dict[str, Any]]:
    try:
        modules: object = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError(f"{path} holds no list of modules")
    return modules


def _inside(folder: Path, module: dict[str, Any]) -> Path:
    path = str(module.get("path", ""))
    if Path(path).name != path:
        raise ModelError(f"{folder / 'modules.json'} points outside its folder ({path!r}): refused")
    return folder / path


def _kind(values: dict[str, Any], folder: Path) -> PoolingKind:
    on = [key for key, value in values.items() if key.startswith("pooling_mode_") and value is True]
    if len(on) != 1 or on[0] not in MODES:
        raise ModelError(f"{folder}: its pooling ({', '.join(on) or 'none'}) is not done here: {' or '.join(MODES)} is")
    return MODES[on[0]]
