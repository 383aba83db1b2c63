"""Model folders in the Hugging Face layout: written whole or not at all, read with every claim checked.

In: a network or an n-gram model. Out: `config.json`, `model.safetensors`, `generation_config.json`, the tokenizer's files
and `README.md`; and back. A Transformer takes the first family that expresses it (see families); the others have model
types of our own. No pickle, ever.
"""

import dataclasses
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hanmo.base.config import build
from hanmo.base.errors import ConfigError, ModelError, StorageError
from hanmo.base.folders import recover_folder, write_folder
from hanmo.base.progress import say
from hanmo.base.storage import read_json, write_json, write_text
from hanmo.model import families
from hanmo.model.card import MARK, write_card
from hanmo.model.config import NgramConfig, RecurrentConfig, SoftmaxRegressionConfig
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder, lacks_head
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families import encoders
from hanmo.model.families.fields import LARGEST
from hanmo.model.foreign import refuse_other_form, refuse_quantized, without_wishes
from hanmo.model.ngram import Ngram
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.shards import INDEX, WEIGHTS, Shards
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.model.without_weights import without_weights

Model = Decoder | QuantizedDecoder | Recurrent | SoftmaxRegression | Ngram
"""What gives a probability to every next token."""
Writer = Model | EncoderDecoder
"""What writes text: a model, or a network that reads one text and writes another."""
AnyModel = Writer | Encoder
Precision = Literal["float32", "bfloat16"]
T = TypeVar("T")

OWN_NETWORKS = {
    "hanmo_recurrent": (Recurrent, RecurrentConfig),
    "hanmo_softmax_regression": (SoftmaxRegression, SoftmaxRegressionConfig),
}
NOTE = "hanmo's own layout: only hanmo reads it"
TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "chat_template*")
POOLING_FILES = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "*_Pooling/config.json")


@dataclasses.dataclass(frozen=True)
class _Form:
    """What a model looks like on disk."""

    values: dict[str, object]
    tensors: dict[str, Tensor]
    layout: str
    read_elsewhere: bool
    task: str = "text-generation"


def save_model(
    model: nn.Module | Ngram,
    folder: Path,
    *,
    tokenizer_folder: Path | None = None,
    dtype: Precision | None = None,
    generation: Mapping[str, object] | None = None,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Write a model folder; a kill leaves the old folder or the new one.

    dtype: precision of the weights, None keeps the network's own. generation: defaults for sampling in Hugging Face's
    words. facts: more rows for the card. Files of an earlier save that are not written again stay, weights excepted.
    Raises StorageError where `folder` holds something that is no model, ModelError for a model without a form on disk.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and ((folder / "config.json").is_file() or not any(folder.iterdir()))):
        raise StorageError(f"{folder} is there and is no model folder (config.json is missing): choose another")
    form = _form(model, dtype)
    named = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    ends = {key: form.values[key] for key in named if form.values.get(key) is not None}
    padding = {"pad_token_id": ends["eos_token_id"]} if "eos_token_id" in ends and "pad_token_id" not in ends else {}
    card = write_card(
        folder.parent.name if folder.name == "model" else folder.name,
        {**_facts(form), **(facts or {})},
        read_elsewhere=form.read_elsewhere,
        task=form.task,
    )

    def write(new: Path) -> None:
        write_json(new / "config.json", form.values)
        save_file(form.tensors, new / WEIGHTS, metadata={"format": "pt"})
        if not isinstance(model, Ngram | Encoder):
            write_json(new / "generation_config.json", {**ends, **padding, **(generation or {})})
        write_text(new / "README.md", card)
        if tokenizer_folder is not None:
            _copy_tokenizer(tokenizer_folder, new)
            if isinstance(model, Encoder | Embedder):
                _copy_matching(tokenizer_folder, new, POOLING_FILES)
        if folder.is_dir():
            _keep_others(folder, new)

    write_folder(folder, write)


def _form(model: nn.Module | Ngram, dtype: Precision | None) -> _Form:
    if isinstance(model, Ngram):
        arrays = {name: torch.from_numpy(array) for name, array in model.state().items()}
        return _Form({"model_type": "hanmo_ngram", "note": NOTE, **dataclasses.asdict(model.config)}, arrays, "hanmo_ngram", False)
    if not isinstance(model, Decoder | Recurrent | SoftmaxRegression | Encoder | EncoderDecoder):
        raise ModelError(f"a {type(model).__name__} has no form on disk: networks of this room and Ngram have")
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    if dtype is not None:
        state = {name: tensor.to(getattr(torch, dtype)) for name, tensor in state.items()}
    precision = str(next(iter(state.values())).dtype).removeprefix("torch.")
    if isinstance(model, Encoder | EncoderDecoder):
        return _form_of_encoder(model, state, precision)
    if not isinstance(model, Decoder):
        layout = next(name for name, (kind, _) in OWN_NETWORKS.items() if isinstance(model, kind))
        values = {"model_type": layout, "note": NOTE, **dataclasses.asdict(model.config), "torch_dtype": precision}
        return _Form(values, state, layout, False)
    layout = families.layout_of(model.config)
    values = {**layout.to_hf(model.config), "torch_dtype": precision}
    tensors, elsewhere = layout.to_hf_weights(state, model.config), not layout.model_type.startswith("hanmo")
    if isinstance(model, Embedder):
        values |= {"architectures": [layout.bare_architecture], "tie_word_embeddings": False}
        tensors = {name.removeprefix(layout.prefix): tensor for name, tensor in tensors.items()}
        return _Form(values, tensors, layout.model_type, elsewhere, "feature-extraction")
    return _Form(values, tensors, layout.model_type, elsewhere)


def _form_of_encoder(model: Encoder | EncoderDecoder, state: Mapping[str, Tensor], precision: str) -> _Form:
    if isinstance(model, Encoder):
        task = "fill-mask" if model.head is not None else "feature-extraction"
        layout = encoders.encoder_layout(model.config)
        values, tensors = layout.to_hf(model.config), layout.to_hf_weights(state, model.config)
    else:
        task = "text2text-generation"
        layout = encoders.encoder_decoder_layout(model.config)
        values, tensors = layout.to_hf(model.config), layout.to_hf_weights(state, model.config)
    elsewhere = not layout.model_type.startswith("hanmo")
    return _Form({**values, "torch_dtype": precision}, tensors, layout.model_type, elsewhere, task)


def _facts(form: _Form) -> dict[str, object]:
    context = form.values.get("max_position_embeddings", form.values.get("n_positions"))
    return {
        "layout": form.layout,
        "numbers stored": sum(tensor.numel() for tensor in form.tensors.values()),
        "bytes of weights": sum(tensor.nbytes for tensor in form.tensors.values()),
        "precision": str(form.values.get("torch_dtype", "counts")),
        "vocabulary": form.values["vocab_size"],
        **({"context in tokens": context} if context else {}),
    }


def _copy_tokenizer(source: Path, target: Path) -> None:
    if not (source / "tokenizer.json").is_file():
        raise ModelError(f"{source} holds no tokenizer: tokenizer.json is missing")
    _copy_matching(source, target, TOKENIZER_FILES)


def _copy_matching(source: Path, target: Path, patterns: Sequence[str]) -> None:
    for file in sorted({file for pattern in patterns for file in source.glob(pattern) if file.is_file()}):
        place = target / file.relative_to(source)
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, place)


def _keep_others(old: Path, new: Path) -> None:
    """Carry over what this save does not write: a tokenizer, a report, the user's own card; never older weights."""
    readme = old / "README.md"
    if readme.is_file() and MARK not in readme.read_text("utf-8", errors="replace"):
        shutil.copyfile(readme, new / readme.name)
    for each in old.iterdir():
        if (new / each.name).exists() or each.name == INDEX or each.suffix == ".safetensors":
            continue
        if each.is_dir():
            shutil.copytree(each, new / each.name)
        else:
            shutil.copyfile(each, new / each.name)


def load_model(folder: Path, *, dtype: Precision | None = "float32") -> AnyModel:
    """The model of a folder, in evaluation mode; dtype None keeps the precision of the file.

    Raises ModelError in one line when the folder is no model, a file is cut short, a tensor is missing, unexpected or
    of another shape, or the configuration contradicts itself or asks for what we do not compute.
    """
    recover_folder(folder.absolute())
    values = read_config(folder)
    name = str(values.get("model_type"))
    shards = Shards(folder)
    refuse_quantized(folder, values, shards.kinds)
    values = without_wishes(values)
    if name == "hanmo_ngram":
        return Ngram.from_state(_config(NgramConfig, values), {name: tensor.numpy() for name, tensor in shards.read()})
    if name in OWN_NETWORKS:
        kind, config_kind = OWN_NETWORKS[name]
        return _load_own(kind, _config(config_kind, values), shards, dtype)
    if (found := encoders.layout_named(values)) is not None:
        return _load_encoder(folder, found, values, shards, dtype)
    layout = families.layout_named(values)
    config = layout.from_hf(values)
    pooled, prefix, tied = (folder / "modules.json").is_file(), layout.prefix, config.tie_word_embeddings
    kind = Embedder if lacks_head(values, shards.shapes, prefix=prefix, tied=tied, is_pooled=pooled) else Decoder
    if kind is Embedder:
        say(f"{folder}: a {layout.model_type} embedder, without an output head: it gives vectors, no next token")
        config = dataclasses.replace(config, tie_word_embeddings=True)
    layout.check_shapes(shards.shapes, config)
    for key in layout.unused(values):
        say(f"{folder / 'config.json'}: {key} is read by nobody here and changes nothing")
    state = layout.from_hf_weights(_floats(shards.read(), dtype), config)
    with without_weights():
        network = kind(config)
    return _assigned(network, state)


def load_writer(folder: Path, *, dtype: Precision | None = "float32") -> Writer:
    """As `load_model`, for who lets it write.

    Raises ModelError when the folder holds an encoder. An embedder is taken, which refuses when it is to write.
    """
    model = load_model(folder, dtype=dtype)
    if isinstance(model, Encoder):
        raise ModelError(f"{folder} holds an encoder, which has seen every token: it gives embeddings (hanmo.load_encoder), no next token")
    return model


def load_language_model(folder: Path, *, dtype: Precision | None = "float32") -> Model:
    """As `load_writer`, for who needs the probability of a text.

    Raises ModelError when the folder holds an encoder, or an encoder-decoder.
    """
    model = load_writer(folder, dtype=dtype)
    if isinstance(model, EncoderDecoder):
        raise ModelError(f"{folder} holds an encoder-decoder: what it writes depends on what it reads, so a text alone has no probability")
    return model


def _load_encoder(
    folder: Path, layout: encoders.AnyLayout, values: Mapping[str, object], shards: Shards, dtype: Precision | None
) -> Encoder | EncoderDecoder:
    """An encoder, or an encoder-decoder; what the file lacks of it is told."""
    config = layout.from_hf(values, shards.shapes)
    layout.check_shapes(shards.shapes, config)  # pyright: ignore[reportArgumentType]
    for key in layout.unused(values, shards.shapes):
        say(f"{folder / 'config.json'}: {key} is read by nobody here and changes nothing")
    needed = {name: tensor for name, tensor in shards.read() if tensor.is_floating_point() or not layout.is_spare(name, shards.shapes)}
    state = layout.from_hf_weights(_floats(needed.items(), dtype), config)  # pyright: ignore[reportArgumentType]
    with without_weights():
        network = Encoder(config) if isinstance(config, EncoderConfig) else EncoderDecoder(config)
    if isinstance(network, EncoderDecoder):
        say(f"{folder}: a {layout.model_type} encoder-decoder")
        return _assigned(network, state)
    parts = {"head for masked tokens": network.head, "pooler": network.pooler}
    told = ", ".join(f"{'no' if part is None else 'with a'} {name}" for name, part in parts.items())
    say(f"{folder}: a {layout.model_type} encoder, {told}")
    return _assigned(network, state)


def read_config(folder: Path) -> dict[str, object]:
    """The config.json of a model folder.

    Raises ModelError when it is missing or broken.
    """
    if folder.is_dir() and not (folder / "config.json").is_file():
        refuse_other_form(folder)
    try:
        return read_json(folder / "config.json")
    except StorageError as error:
        raise ModelError(f"{folder} is no model: {error}") from error


def read_generation(folder: Path) -> dict[str, object]:
    """What generation_config.json says, with every end token of config.json where it says none.

    An encoder-decoder takes the likeliest token unless it says otherwise, as elsewhere.

    Raises ModelError when it is broken.
    """
    path = folder / "generation_config.json"
    config = read_config(folder)
    try:
        values = read_json(path) if path.exists() else _older_settings(config)
    except StorageError as error:
        raise ModelError(str(error)) from error
    if values.get("eos_token_id") is None:
        values["eos_token_id"] = config.get("eos_token_id")
    if _reads_another_text(config):
        values = {"do_sample": False, **values}
        if isinstance(most := values.get("max_length"), int) and values.get("max_new_tokens") is None:
            values["max_new_tokens"] = most - 1  # the token that opens is counted there
    return values


OLDER_SETTINGS = ("num_beams", "length_penalty", "early_stopping", "max_length", "no_repeat_ngram_size", "bad_words_ids")
"""What a translator's config.json said before there was a generation_config.json, beside the forced tokens."""


def _older_settings(config: Mapping[str, object]) -> dict[str, object]:
    names = (*OLDER_SETTINGS, "forced_bos_token_id", "forced_eos_token_id") if _reads_another_text(config) else ()
    return {name: config[name] for name in names if config.get(name) is not None}


def _reads_another_text(config: Mapping[str, object]) -> bool:
    layout = encoders.layout_named(config)
    return layout is not None and layout.build is EncoderDecoder


def _config(kind: type[T], values: Mapping[str, object]) -> T:
    try:
        config = build(kind, {key: value for key, value in values.items() if key not in ("model_type", "note", "torch_dtype")})
    except ConfigError as error:
        raise ModelError(f"config.json: {error}") from error
    for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_previous_tokens"):
        if not 1 <= getattr(config, name, 1) < LARGEST:
            raise ModelError(f"config.json: {name} (={getattr(config, name)}) should be at least 1 and below 2^24")
    return config


N = TypeVar("N", Decoder, Recurrent, SoftmaxRegression, Encoder, EncoderDecoder)


def _load_own(kind: type[N], config: RecurrentConfig | SoftmaxRegressionConfig, shards: Shards, dtype: Precision | None) -> N:
    if getattr(config, "num_hidden_layers", 1) > len(shards.shapes):
        raise ModelError(f"config.json asks for more layers than there are tensors ({len(shards.shapes)}): the weights do not fit")
    with without_weights():
        network = kind(config)  # pyright: ignore[reportArgumentType]
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name in expected.keys() | shards.shapes.keys():
        if expected.get(name) != shards.shapes.get(name):
            seen, said = (list(shapes[name]) if name in shapes else "nothing" for shapes in (shards.shapes, expected))
            raise ModelError(f"the tensor {name} does not fit: the file has {seen}, config.json says {said}")
    return _assigned(network, _floats(shards.read(), dtype))


def _floats(found: Iterable[tuple[str, Tensor]], dtype: Precision | None) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, tensor in found:
        if not tensor.is_floating_point() or tensor.element_size() == 1:
            raise ModelError(f"the tensor {name} holds {str(tensor.dtype).removeprefix('torch.')}: quantised weights are not read here")
        tensors[name] = tensor if dtype is None else tensor.to(getattr(torch, dtype))
    return tensors


def _assigned(network: N, state: Mapping[str, Tensor]) -> N:
    """A network without memory (on the meta device) around these tensors; no initial weights are drawn."""
    network.load_state_dict(state, assign=True)
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))
    return network.eval()
