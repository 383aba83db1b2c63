"""The words of GGUF beside those of Hugging Face: settings, and the name and form of every tensor.

In: a GGUF file, or a configuration with its weights under Hugging Face's names. Out: the other.
An architecture is a table of settings and a table of modules. Three things differ beyond names: ggml rotates pairs of
neighbours where Hugging Face rotates halves, so the rows of Llama's queries and keys are stored in another order; Gemma's
norms are stored with the 1 added that its formula adds; GPT-2's matrices are stored as [outputs, inputs].
Settings that llama.cpp fixes in its code (Gemma 3's window pattern and local rotary base) are checked on the way out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_reader import GgufFile, Value
from hanmo.convert.gguf_rope import FACTORS, factors_scaling, frequency_factors, scaling_settings, settings_scaling

Floats = NDArray[np.float32]

MODERN_SETTINGS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.key_length": "head_dim",
    "rope.freq_base": "rope_theta",
}
MODERN_MODULES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "blk.{i}.attn_norm": "model.layers.{i}.input_layernorm",
    "blk.{i}.attn_q": "model.layers.{i}.self_attn.q_proj",
    "blk.{i}.attn_k": "model.layers.{i}.self_attn.k_proj",
    "blk.{i}.attn_v": "model.layers.{i}.self_attn.v_proj",
    "blk.{i}.attn_output": "model.layers.{i}.self_attn.o_proj",
    "blk.{i}.ffn_norm": "model.layers.{i}.post_attention_layernorm",
    "blk.{i}.ffn_gate": "model.layers.{i}.mlp.gate_proj",
    "blk.{i}.ffn_up": "model.layers.{i}.mlp.up_proj",
    "blk.{i}.ffn_down": "model.layers.{i}.mlp.down_proj",
}
QK_NORMS = {
    "blk.{i}.attn_q_norm": "model.layers.{i}.self_attn.q_norm",
    "blk.{i}.attn_k_norm": "model.layers.{i}.self_attn.k_norm",
}
GEMMA_NORMS = {
    "blk.{i}.post_attention_norm": "model.layers.{i}.post_attention_layernorm",
    "blk.{i}.ffn_norm": "model.layers.{i}.pre_feedforward_layernorm",
    "blk.{i}.post_ffw_norm": "model.layers.{i}.post_feedforward_layernorm",
}
GPT2_SETTINGS = {
    "context_length": "n_positions",
    "embedding_length": "n_embd",
    "block_count": "n_layer",
    "feed_forward_length": "n_inner",
    "attention.head_count": "n_head",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
}
GPT2_MODULES = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
    "blk.{i}.attn_norm": "transformer.h.{i}.ln_1",
    "blk.{i}.attn_qkv": "transformer.h.{i}.attn.c_attn",
    "blk.{i}.attn_output": "transformer.h.{i}.attn.c_proj",
    "blk.{i}.ffn_norm": "transformer.h.{i}.ln_2",
    "blk.{i}.ffn_up": "transformer.h.{i}.mlp.c_fc",
    "blk.{i}.ffn_down": "transformer.h.{i}.mlp.c_proj",
}
GEMMA_PATTERN, GEMMA_LOCAL_THETA, GEMMA_27B_LAYERS = 6, 10000.0, 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One architecture of GGUF and the Hugging Face family that computes the same."""

    name: str
    model_type: str
    settings: Mapping[str, str]
    modules: Mapping[str, str]
    interleaved: bool = False
    """Whether rows of queries and keys stand in ggml's order of rotary pairs."""
    added_one: bool = False
    """Whether norms are stored as 1 + weight."""
    transposed: bool = False
    """Whether Hugging Face stores the matrices of blocks as [inputs, outputs]."""


ARCHITECTURES = (
    Architecture(name="llama", model_type="llama", settings=MODERN_SETTINGS, modules=MODERN_MODULES, interleaved=True),
    Architecture(name="qwen2", model_type="qwen2", settings=MODERN_SETTINGS, modules=MODERN_MODULES),
    Architecture(name="qwen3", model_type="qwen3", settings=MODERN_SETTINGS, modules=MODERN_MODULES | QK_NORMS),
    Architecture(
        name="gemma3",
        model_type="gemma3_text",
        settings=MODERN_SETTINGS | {"attention.sliding_window": "sliding_window", "rope.freq_base_swa": "rope_local_base_freq"},
        modules=MODERN_MODULES | QK_NORMS | GEMMA_NORMS,
        added_one=True,
    ),
    Architecture(name="gpt2", model_type="gpt2", settings=GPT2_SETTINGS, modules=GPT2_MODULES, transposed=True),
)

WRITTEN_AS = {"mistral": "llama"}
"""Families that llama.cpp computes as another; Mistral's window is refused where it would act."""


def architecture_of(file: GgufFile) -> Architecture:
    """The architecture that a file names.

    Raises ModelError for one that is not known.
    """
    name, kind = file.metadata.get("general.architecture"), file.metadata.get("general.type", "model")
    if kind != "model":
        raise ModelError(
            f"{file.path} holds no model but what goes with one (general.type = {str(kind)[:40]!r}): name the model's own file"
        )
    for each in ARCHITECTURES:
        if each.name == name:
            return each
    raise ModelError(f"{file.path}: the architecture {name!r} is not read here: {', '.join(each.name for each in ARCHITECTURES)} are")


def config_values(file: GgufFile) -> dict[str, object]:
    """What config.json would say.

    Raises ModelError for a setting that changes the numbers in a way which has no place there.
    """
    kind = architecture_of(file)
    own = {key.removeprefix(f"{kind.name}."): _plain(file, key) for key in file.metadata if key.startswith(f"{kind.name}.")}
    if own.get("expert_count"):
        raise ModelError(f"{file.path}: expert_count (={own['expert_count']}) asks for a mixture of experts, which is not computed here")
    values: dict[str, object] = {theirs: own[ours] for ours, theirs in kind.settings.items() if ours in own}
    embedding = file.tensors.get("token_embd.weight")
    values |= {
        "model_type": kind.model_type,
        "vocab_size": embedding.shape[0] if embedding else None,
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "bos_token_id": file.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": file.metadata.get("tokenizer.ggml.eos_token_id"),
    }
    if kind.model_type == "llama" and any(name.endswith("attn_q.bias") for name in file.tensors):
        values["attention_bias"] = True
    _check_heads(file, own, values)
    if (scaling := _scaling(file, own, values)) is not None:
        values["rope_scaling"] = scaling
    if kind.name == "gemma3" and own.get("block_count") == GEMMA_27B_LAYERS:  # llama.cpp knows the largest by its depth
        values["query_pre_attn_scalar"] = int(values["hidden_size"]) // int(values["num_attention_heads"])  # pyright: ignore[reportArgumentType]
    elif kind.name == "gemma3":
        values["query_pre_attn_scalar"] = values.get("head_dim")
    return values


def _plain(file: GgufFile, key: str) -> object:
    """A setting; float32 in its shortest words (1e-05, not 9.99e-06), a list of equal numbers as one."""
    value = file.metadata[key]
    if isinstance(value, list):
        if not value or any(each != value[0] for each in value):
            raise ModelError(f"{file.path}: {key} differs from layer to layer ({str(value)[:60]}), which is not computed here")
        value = value[0]
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _check_heads(file: GgufFile, own: Mapping[str, object], values: Mapping[str, object]) -> None:
    width, heads = values.get("hidden_size"), values.get("num_attention_heads")
    derived = width // heads if isinstance(width, int) and isinstance(heads, int) and heads > 0 else None
    head = values.get("head_dim", derived)
    for key in ("attention.value_length", "rope.dimension_count"):
        if key in own and own[key] != head:
            raise ModelError(f"{file.path}: {key} (={own[key]!r}) is not the width of a head ({head}), which is not computed here")


def _scaling(file: GgufFile, own: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object] | None:
    scaling = settings_scaling(own)
    factors = file.read(FACTORS) if FACTORS in file.tensors else None
    if factors is None or (factors == 1).all():
        return scaling
    theta = values.get("rope_theta", 10000.0)
    if file.metadata["general.architecture"] != "llama" or scaling is not None or not isinstance(theta, float):
        raise ModelError(f"{file.path}: {FACTORS} is for a llama without rope.scaling: the file contradicts itself")
    try:
        return factors_scaling(factors, theta)
    except ModelError as error:
        raise ModelError(f"{file.path}: {error}") from error


def hf_names(file: GgufFile) -> dict[str, str]:
    """Each tensor's name in the file with its Hugging Face name.

    Raises ModelError for a tensor that the architecture does not have.
    """
    kind = architecture_of(file)
    found: dict[str, str] = {}
    for name in file.tensors:
        if name == FACTORS:
            continue
        module, _, part = name.rpartition(".")
        layer = re.match(r"blk\.(\d{1,6})\.", name)
        template = f"blk.{{i}}.{module[layer.end() :]}" if layer else module
        if template not in kind.modules or part not in ("weight", "bias"):
            raise ModelError(f"{file.path}: a {kind.name} model has no tensor {name[:60]!r}")
        found[name] = kind.modules[template].replace("{i}", layer.group(1) if layer else "") + f".{part}"
    return found


def hf_shape(kind: Architecture, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a tensor as Hugging Face stores it."""
    return shape[::-1] if kind.transposed and _is_block_matrix(name, len(shape)) else shape


@np.errstate(invalid="ignore")  # what is no number stays none
def hf_numbers(kind: Architecture, name: str, numbers: Floats, values: Mapping[str, object]) -> Floats:
    """A tensor of the file in Hugging Face's form; `name` is that of the file, `values` the configuration."""
    if kind.transposed and _is_block_matrix(name, numbers.ndim):
        return np.ascontiguousarray(numbers.T)
    if kind.added_one and re.search(r"norm\.weight$", name):
        return numbers - np.float32(1)
    heads = _rotated_heads(kind, name, values)
    return deinterleaved(numbers, heads) if heads else numbers


def ggml_tensors(model_type: str, tensors: Mapping[str, Floats], values: Mapping[str, object]) -> Iterator[tuple[str, Floats]]:
    """The other way: tensors under Hugging Face's names in ggml's names and form.

    Raises ModelError for a family without an architecture here.
    """
    kind = architecture_for(model_type)
    ours = {theirs: name for name, theirs in kind.modules.items()}
    for name, numbers in tensors.items():
        module, _, part = name.rpartition(".")
        layer = re.search(r"\.(\d+)\.", module)
        template = module.replace(f".{layer.group(1)}.", ".{i}.", 1) if layer else module
        target = ours[template].replace("{i}", layer.group(1) if layer else "") + f".{part}"
        if kind.transposed and _is_block_matrix(target, numbers.ndim):
            numbers = np.ascontiguousarray(numbers.T)
        if kind.added_one and re.search(r"norm\.weight$", target):
            numbers = numbers + np.float32(1)
        heads = _rotated_heads(kind, target, values)
        yield target, interleaved(numbers, heads) if heads else numbers
    if (factors := frequency_factors(values)) is not None:
        yield FACTORS, factors


def architecture_for(model_type: str) -> Architecture:
    """The architecture that computes what a Hugging Face family computes.

    Raises ModelError when there is none.
    """
    for each in ARCHITECTURES:
        if each.model_type == WRITTEN_AS.get(model_type, model_type):
            return each
    known = ", ".join([*(each.model_type for each in ARCHITECTURES), *WRITTEN_AS])
    raise ModelError(f"a {model_type} model has no form in GGUF that other engines read: {known} have")


def ggml_settings(values: Mapping[str, object]) -> dict[str, Value]:
    """The metadata of a configuration in Hugging Face's words.

    Raises ModelError for what llama.cpp would compute otherwise.
    """
    kind = architecture_for(str(values["model_type"]))
    _refuse_unspoken(kind, values)
    found: dict[str, Value] = {"general.architecture": kind.name}
    for ours, theirs in kind.settings.items():
        value = values.get(theirs)
        if isinstance(value, int | float):
            found[f"{kind.name}.{ours}"] = value
    head = values.get("head_dim")
    if isinstance(head, int):
        found |= {f"{kind.name}.attention.value_length": head, f"{kind.name}.rope.dimension_count": head}
    scaling = values.get("rope_scaling")
    settings = scaling_settings(kind.name, scaling if isinstance(scaling, Mapping) else None)
    found |= {f"{kind.name}.{key}": value for key, value in settings.items()}
    found[f"{kind.name}.vocab_size"] = int(str(values["vocab_size"]))
    return found


def _refuse_unspoken(kind: Architecture, values: Mapping[str, object]) -> None:
    """Raise ModelError for settings that the file cannot say and llama.cpp fixes in its code."""
    fixed: dict[str, object] = {"mlp_bias": False} if kind.name != "gpt2" else {"activation_function": "gelu_new"}
    if kind.name == "gemma3":
        layers = range(int(str(values["num_hidden_layers"])))
        pattern = ["sliding_attention" if (layer + 1) % GEMMA_PATTERN else "full_attention" for layer in layers]
        fixed |= {"layer_types": pattern, "rope_local_base_freq": GEMMA_LOCAL_THETA, "query_pre_attn_scalar": values.get("head_dim")}
        fixed |= {"hidden_activation": "gelu_pytorch_tanh"}
        if values.get("rope_theta") == GEMMA_LOCAL_THETA:  # one base for all layers: ours slows them all down, llama.cpp the full ones
            fixed["rope_scaling"] = None
    elif kind.name != "gpt2":
        fixed["hidden_act"] = "silu"
        _refuse_window(kind, values)
    if kind.name in ("qwen3", "gemma3"):
        fixed["attention_bias"] = False
    for key, wanted in fixed.items():
        if values.get(key, wanted) != wanted:
            raise ModelError(
                f"{key} (={str(values[key])[:60]}) has no place in a GGUF file: llama.cpp computes a {kind.name} with {wanted}"
            )


def _refuse_window(kind: Architecture, values: Mapping[str, object]) -> None:
    """Raise ModelError for a sliding window that acts within the context: only Gemma's is computed by llama.cpp."""
    window, context = values.get("sliding_window"), values["max_position_embeddings"]
    if isinstance(window, int) and isinstance(context, int) and window < context:
        raise ModelError(
            f"sliding_window (={window}) has no place in a GGUF file: llama.cpp's {kind.name} sees all of the context "
            f"(max_position_embeddings = {context}); a context of {window} in config.json would be computed alike"
        )


def _is_block_matrix(name: str, dimensions: int) -> bool:
    return dimensions == 2 and name.startswith("blk.")


def _rotated_heads(kind: Architecture, name: str, values: Mapping[str, object]) -> int:
    """How many heads' rows stand in ggml's order in this tensor; 0 where none do."""
    found = re.search(r"\.attn_(q|k)\.(weight|bias)$", name) if kind.interleaved else None
    if not found:
        return 0
    heads = values["num_attention_heads"]
    return int(str(heads if found.group(1) == "q" else values.get("num_key_value_heads") or heads))


def interleaved(numbers: Floats, heads: int) -> Floats:
    """Rows 0..d/2-1 and d/2..d-1 of each head, taken in turn: ggml's order of rotary pairs."""
    rows = numbers.reshape(heads, 2, len(numbers) // heads // 2, *numbers.shape[1:])
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(numbers.shape)


def deinterleaved(numbers: Floats, heads: int) -> Floats:
    """The inverse: even rows of each head first, then odd ones.

    Raises ModelError when the rows are no whole pairs of heads.
    """
    if heads < 1 or len(numbers) % (2 * heads):
        raise ModelError(f"{len(numbers)} rows are no {heads} heads of rotary pairs: the file contradicts itself")
    rows = numbers.reshape(heads, len(numbers) // heads // 2, 2, *numbers.shape[1:])
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(numbers.shape)
