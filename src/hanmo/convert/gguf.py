"""A GGUF file becomes a model folder, and a model folder a GGUF file with an Ollama Modelfile beside it.

In: a path. Out: the other form, with tokenizer, chat template and end tokens. Weights come back as float32, exactly the
numbers that the blocks say; they go out as F32, F16, Q8_0, Q4_1 or Q4_0, vectors and positions always as F32, and under the last two the
embedding and the output projection as Q8_0, because every token pays for their error.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.base.progress import say
from hanmo.base.storage import write_json, write_text
from hanmo.convert.gguf_blocks import BY_NAME, BlockFormat, dequantized, quantized
from hanmo.convert.gguf_names import architecture_of, config_values, ggml_settings, ggml_tensors, hf_names, hf_numbers, hf_shape
from hanmo.convert.gguf_reader import GgufFile, Value
from hanmo.convert.gguf_split import read_gguf
from hanmo.convert.gguf_tokenizer import as_engines_read, read_tokenizer, token_id, tokenizer_metadata
from hanmo.convert.gguf_writer import Outgoing, write_gguf
from hanmo.convert.parity import ComparedModel, compare_forms, refuse_difference
from hanmo.model import families
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder
from hanmo.model.rounding import has_even_steps
from hanmo.model.store import load_model, read_config, read_generation, save_model
from hanmo.model.without_weights import without_weights
from hanmo.tokenizer.chat import TEMPLATE_FILE, read_template
from hanmo.tokenizer.ends import end_ids
from hanmo.tokenizer.load import Tokenizer

GgufPrecision = Literal["f32", "f16", "q8_0", "q4_1", "q4_0"]
FILE_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7}
POOLINGS = {1: "mean_tokens", 2: "cls_token", 3: "lasttoken"}
"""What `pooling_type` says of a file that is for vectors, in the words of sentence-transformers."""
BLANKS = (
    "note: engines for GGUF put a blank behind every special token, this tokenizer only before a text: conversations have other ids there"
)
ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")


def import_gguf(path: Path, folder: Path) -> dict[str, object]:
    """Write the model of a GGUF file as a model folder; gives facts about it.

    Raises ModelError in one line for a file that is damaged, lies, or asks for what we do not compute.
    """
    file = read_gguf(path)
    network = read_decoder(file)
    try:
        tokenizer = read_tokenizer(file.metadata)
        generation = _ends(file.metadata, tokenizer)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    if tokenizer.vocab_size > network.config.vocab_size:
        raise ModelError(f"{path}: its tokenizer has {tokenizer.vocab_size} tokens, its embedding {network.config.vocab_size} rows")
    with tempfile.TemporaryDirectory() as temporary:
        tokenizer.save(Path(temporary))
        if template := file.metadata.get("tokenizer.chat_template"):
            write_text(Path(temporary) / TEMPLATE_FILE, str(template))
        if isinstance(network, Embedder):
            _write_pooling(file, Path(temporary))
        facts = _facts(file)
        save_model(network, folder, tokenizer_folder=Path(temporary), generation=generation, facts=facts)
    return facts


def read_decoder(file: GgufFile) -> Decoder:
    """The network in a GGUF file, in float32 and evaluation mode.

    Raises ModelError when settings and tensors do not fit; shapes are compared before a number is read.
    """
    kind, values, names = architecture_of(file), config_values(file), hf_names(file)
    layout = families.layout_named(values)
    try:
        config = layout.from_hf(values)
        layout.check_shapes({theirs: hf_shape(kind, ours, file.tensors[ours].shape) for ours, theirs in names.items()}, config)
        tensors = {theirs: torch.from_numpy(hf_numbers(kind, ours, file.read(ours), values)) for ours, theirs in names.items()}
        state = layout.from_hf_weights(tensors, config)
    except ModelError as error:
        raise ModelError(f"{file.path}: {str(error).removeprefix('config.json: ').replace('config.json', 'its metadata')}") from error
    with without_weights():
        network = Embedder(config) if _pooling(file) and config.tie_word_embeddings else Decoder(config)
    network.load_state_dict(state, assign=True)
    return network.eval()


def _pooling(file: GgufFile) -> str | None:
    """How a file that is for vectors makes them; None for one that is for text."""
    value = file.metadata.get(f"{file.metadata.get('general.architecture')}.pooling_type")
    return POOLINGS.get(value) if isinstance(value, int) else None


def _write_pooling(file: GgufFile, folder: Path) -> None:
    """The files of sentence-transformers that say the same; other engines give such vectors length 1."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    write_text(folder / "modules.json", json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", {f"pooling_mode_{_pooling(file)}": True})


def _facts(file: GgufFile) -> dict[str, object]:
    formats = sorted({each.format.name for each in file.tensors.values()})
    said = {key.removeprefix("general."): file.metadata[key] for key in ("general.name", "general.license") if key in file.metadata}
    return {"imported from": file.path.name, "stored there as": ", ".join(formats), **said}


def _ends(metadata: Mapping[str, Value], tokenizer: Tokenizer) -> dict[str, object]:
    """Every token that ends a text or a turn."""
    named = [id for name in ENDS if (id := token_id(metadata, name, tokenizer.vocab_size)) is not None]
    ends = end_ids(tokenizer, {"eos_token_id": named})
    return {"eos_token_id": ends if len(ends) > 1 else ends[0]} if ends else {}


def export_gguf(
    folder: Path, path: Path, precision: GgufPrecision = "f16", prepare: Callable[[Decoder], None] | None = None
) -> dict[str, object]:
    """Write a model folder as a GGUF file, and a Modelfile beside it; gives name, tensors, bytes and the table of its proof.

    The file is read back before it has its name: tokens, template and logits have to be those of the network with rounded weights.
    `prepare` may change the network before it is written. Raises ModelError for a model that other engines would compute otherwise, and
    for a file that fails its proof.
    """
    network, tokenizer = load_model(folder), Tokenizer.load(folder)
    if not isinstance(network, Decoder) or isinstance(network, Embedder):
        raise ModelError(f"a {type(network).__name__} has no form in GGUF that other engines read: decoders have")
    if prepare is not None:
        prepare(network)
    elif precision == "q4_0":
        _say_what_is_lost(network)
    layout = families.layout_of(network.config)
    values = {"rope_scaling": None, **layout.to_hf(network.config)}
    state: dict[str, Tensor] = {name: each.detach() for name, each in network.state_dict().items()}
    arrays = {name: tensor.float().numpy() for name, tensor in layout.to_hf_weights(state, network.config).items()}
    settings = ggml_settings(values)
    template = read_template(folder)
    metadata: dict[str, Value] = {
        **settings,
        "general.name": folder.parent.name if folder.name == "model" else folder.name,
        "general.file_type": FILE_TYPES[precision],
        "general.quantization_version": 2,
        **tokenizer_metadata(tokenizer, network.config.vocab_size),
        **_end_of_turn(folder, tokenizer),
        **({"tokenizer.chat_template": template} if template else {}),
    }
    tensors = {
        name: Outgoing(numbers.shape, _format(name, numbers.shape, precision), lambda numbers=numbers: numbers)
        for name, numbers in ggml_tensors(layout.model_type, arrays, values)
    }
    if (read_as := as_engines_read(tokenizer)) is not tokenizer:
        say(BLANKS)
    unproven = path.with_name(f".{path.name}.unproven")
    try:
        write_gguf(unproven, metadata, tensors)
        rows = compare_forms(
            ComparedModel(network=_rounded(network, precision), tokenizer=read_as, template=template), _read_form(unproven), tokens=4
        )
        refuse_difference(rows, str(path))
        unproven.replace(path)
    finally:
        unproven.unlink(missing_ok=True)
    modelfile = path.with_name(f"{path.stem}.Modelfile")
    write_text(modelfile, modelfile_text(path.name, read_generation(folder), network.config.max_position_embeddings))
    proof = [dataclasses.asdict(row) for row in rows]
    facts = {"path": str(path), "modelfile": str(modelfile), "precision": precision, "tensors": len(tensors), "bytes": path.stat().st_size}
    return {**facts, "parity": proof}


def _read_form(path: Path) -> ComparedModel:
    """The model of a GGUF file as who imports it gets it."""
    file = read_gguf(path)
    template = file.metadata.get("tokenizer.chat_template")
    return ComparedModel(
        network=read_decoder(file), tokenizer=read_tokenizer(file.metadata), template=None if template is None else str(template)
    )


@torch.no_grad()
def _rounded(network: Decoder, precision: GgufPrecision) -> Decoder:
    """The network with the numbers that a file of this precision holds, found without the names and forms of GGUF."""
    theirs = {
        "embed_tokens.weight": "token_embd.weight",
        "lm_head.weight": "output.weight",
        "position_embedding.weight": "position_embd.weight",
    }
    for name, parameter in network.named_parameters():
        kind = _format(theirs.get(name, name), tuple(parameter.shape), precision)
        if kind.name != "F32":
            numbers = parameter.detach().float().contiguous().numpy()
            parameter.copy_(torch.from_numpy(dequantized(quantized(numbers, kind), kind)).view_as(parameter))
    return network


def _say_what_is_lost(network: Decoder) -> None:
    say("note: q4_0 loses more than it has to: --calibrate self fits its scales to what the model says, which takes minutes")
    if any(map(has_even_steps, (block.mlp.down.weight.detach() for block in network.blocks()))):
        say("note: these weights have 16 even steps a group already, which q4_0 rounds once more: --precision q4_1 keeps them")


def _format(name: str, shape: tuple[int, ...], precision: GgufPrecision) -> BlockFormat:
    if len(shape) == 1 or name == "position_embd.weight":
        return BY_NAME["F32"]
    wanted = "Q8_0" if precision in ("q4_0", "q4_1") and name in ("token_embd.weight", "output.weight") else precision.upper()
    return BY_NAME[wanted] if shape[-1] % BY_NAME[wanted].size == 0 else BY_NAME["F16"]


def _end_of_turn(folder: Path, tokenizer: Tokenizer) -> dict[str, Value]:
    """End tokens in the order in which the folder tells them: the first ends a text, a second one a turn."""
    found = end_ids(tokenizer, read_generation(folder), read_config(folder))
    return {f"tokenizer.ggml.{name}": id for name, id in zip(ENDS, found, strict=False)}


def modelfile_text(name: str, generation: Mapping[str, object], context: int) -> str:
    """What `ollama create NAME -f FILE` reads: the file, the context and how tokens are drawn; the template is in the GGUF."""
    parameters = {"num_ctx": context, "temperature": generation.get("temperature"), "top_k": generation.get("top_k")}
    parameters |= {"top_p": generation.get("top_p"), "repeat_penalty": generation.get("repetition_penalty")}
    lines = [f"PARAMETER {key} {value}" for key, value in parameters.items() if value is not None]
    return "\n".join([f"FROM ./{name}", *lines, ""])
