"""Slowed-down rotary frequencies in GGUF, and in Hugging Face's `rope_scaling`.

In: the settings `rope.scaling.*`, or the tensor `rope_freqs.weight`, which divides the frequencies of a Llama one by one.
Out: a table for config.json; and back. The tensor does not say the four numbers of Llama 3 that it was made of: they are found
again from its ramp, and taken only when they give the same divisors. Linear and yarn scaling are settings; llama.cpp fixes the
ramp of yarn in its code, so another ramp is refused.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_reader import Value
from hanmo.model.config import RopeScaling
from hanmo.model.positions import llama3_frequencies

FACTORS = "rope_freqs.weight"
LOW, HIGH = 1.0, 4.0
"""Llama 3's own bounds of the ramp, in turns; a ramp can be told with any lower bound, so this one is taken."""
CLOSE = 1e-4
YARN = {"beta_fast": 32.0, "beta_slow": 1.0, "attention_factor": 0.0, "truncate": True}
"""What llama.cpp computes."""

Floats = NDArray[np.float32]


def scaling_settings(architecture: str, scaling: Mapping[str, object] | None) -> dict[str, Value]:
    """The settings of a `rope_scaling` table, their names without the architecture's; none for what stands in the tensor.

    Raises ModelError for what llama.cpp would compute otherwise.
    """
    kind = (scaling or {}).get("rope_type", "default")
    if scaling is None or kind == "default":
        return {}
    if (kind == "llama3" and architecture != "llama") or (kind == "yarn" and architecture == "gemma3"):
        raise ModelError(f"rope_scaling (={kind}) has no place in the GGUF file of a {architecture}: export it as hf")
    if kind == "llama3":
        return {}
    for key, wanted in YARN.items() if kind == "yarn" else ():
        if (value := scaling.get(key, wanted)) != wanted:
            raise ModelError(
                f"rope_scaling.{key} (={value}) has no place in a GGUF file: llama.cpp computes yarn with {wanted or 'its own'}"
            )
    found: dict[str, Value] = {"rope.scaling.type": str(kind), "rope.scaling.factor": float(str(scaling["factor"]))}
    if (context := scaling.get("original_max_position_embeddings")) is not None:
        found["rope.scaling.original_context_length"] = int(str(context))
    return found


def settings_scaling(own: Mapping[str, object]) -> dict[str, object] | None:
    """The table of `rope_scaling` that settings ask for, or None for frequencies as they are."""
    kind = own.get("rope.scaling.type", "linear" if "rope.scaling.factor" in own else "none")
    if kind == "none" or (kind == "linear" and own.get("rope.scaling.factor", 1.0) == 1.0):
        return None
    scaling: dict[str, object] = {"rope_type": kind, "factor": own.get("rope.scaling.factor", 1.0)}
    if "rope.scaling.original_context_length" in own and kind != "linear":
        scaling["original_max_position_embeddings"] = own["rope.scaling.original_context_length"]
    return scaling


def frequency_factors(values: Mapping[str, object]) -> Floats | None:
    """What each frequency f is divided by, f / llama3(f); None for a configuration without that kind of scaling."""
    table = values.get("rope_scaling")
    if not isinstance(table, Mapping) or table.get("rope_type") != "llama3":
        return None
    given = {"original_max_position_embeddings": values["max_position_embeddings"]} | {
        key: table[key] for key in table if key != "rope_type"
    }
    width, theta = int(str(values["head_dim"])), float(str(values["rope_theta"]))
    return _divisors(width // 2, theta, RopeScaling(rope_type="llama3", **given))  # pyright: ignore[reportArgumentType]


def _divisors(pairs: int, theta: float, scaling: RopeScaling) -> Floats:
    frequencies_P = torch.from_numpy(_frequencies(pairs, theta)).float()
    return (frequencies_P / llama3_frequencies(frequencies_P, theta, scaling)).numpy()


def _frequencies(pairs: int, theta: float) -> NDArray[np.float64]:
    return theta ** -(np.arange(pairs) / pairs)


def factors_scaling(factors: Floats, theta: float) -> dict[str, object]:
    """The table of `rope_scaling` that gives these divisors.

    The share of a frequency that is kept, r = (1/d - 1/s) / (1 - 1/s), rises with the turns in the original context,
    (C f / 2 pi - low) / (high - low), so two frequencies on the ramp tell C and high for low = 1; one tells C for Llama's bounds.
    Raises ModelError when no such numbers give them.
    """
    sound = factors.ndim == 1 and bool(np.isfinite(factors).all()) and bool((factors > 0).all()) and 1 < theta < math.inf
    slowest = float(str(factors.max())) if sound else 1.0
    if slowest > 1:
        scaling = _from_ramp((1 / factors.astype(np.float64) - 1 / slowest) / (1 - 1 / slowest), slowest, theta)
        if scaling is not None and np.allclose(_divisors(len(factors), theta, scaling), factors, rtol=CLOSE):
            keys = ("rope_type", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
            return {key: getattr(scaling, key) for key in keys}
    raise ModelError(f"{FACTORS} scales rotary frequencies in a way that is not Llama 3's, which is not read here: import the original")


def _from_ramp(share_P: NDArray[np.float64], slowest: float, theta: float) -> RopeScaling | None:
    frequencies_P = _frequencies(len(share_P), theta)
    on_ramp = (share_P > CLOSE) & (share_P < 1 - CLOSE)
    high = HIGH
    if on_ramp.sum() >= 2:
        slope, start = np.polyfit(frequencies_P[on_ramp], share_P[on_ramp], 1)
        high = LOW - LOW / start if start < 0 else 0.0
        context = 2 * math.pi * slope * (high - LOW)
    elif on_ramp.any():
        context = 2 * math.pi * (LOW + share_P[on_ramp][0] * (HIGH - LOW)) / frequencies_P[on_ramp][0]
    else:  # a step: anywhere between its two sides
        edges = frequencies_P[share_P > 0.5].min(initial=frequencies_P[0]) * frequencies_P[share_P < 0.5].max(initial=frequencies_P[-1])
        context = 2 * math.pi * math.sqrt(LOW * HIGH / edges)
    if not (LOW < high < 1e6 and 1 <= context < 1e9):
        return None
    return RopeScaling(
        rope_type="llama3",
        factor=slowest,
        low_freq_factor=LOW,
        high_freq_factor=round(float(high), 3),
        original_max_position_embeddings=round(float(context)),
    )
