"""Our parameters <-> theirs: a small declarative map, with split and joined rows and transposed matrices.

A family lists `ModuleMapping`s, one a module; `entries` turns them into one `ParameterMapping` a parameter, with shapes, so that a file is
checked against its configuration before a byte of weights is read.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModuleMapping:
    """One module of ours and the module or modules whose rows, joined in order, are the same."""

    ours: str
    """Name with {i} for the layer, without `.weight` or `.bias`."""
    theirs: tuple[str, ...]
    """Names in the file, likewise."""
    transposed: bool = False
    """Whether the file holds matrices as [inputs, outputs] (GPT-2's Conv1D)."""


@dataclass(frozen=True, slots=True)
class ParameterMapping:
    """One parameter: its name and shape here, and the names and shapes of its parts in the file."""

    ours: str
    shape: Shape
    theirs: tuple[str, ...]
    rows: tuple[int, ...]
    transposed: bool

    def part_shape(self, part: int) -> Shape:
        """Shape of one part as the file holds it."""
        shape = (self.rows[part], *self.shape[1:])
        return shape[::-1] if self.transposed and len(shape) == 2 else shape


def parameter_shapes(config: DecoderConfig) -> Iterator[tuple[str, Shape]]:
    """Name and shape of every parameter of a `Decoder`, in order; lazy, as a lying config may ask for 10^9 layers."""
    width, biased_norm = config.hidden_size, config.norm == "layer_norm"
    yield "embed_tokens.weight", (config.vocab_size, width)
    if config.position_embedding == "learned":
        yield "position_embedding.weight", (config.max_position_embeddings, width)
    for i in range(config.num_hidden_layers):
        yield from _norm_shapes(f"layers.{i}.attention_norm", width, biased_norm)
        yield from _linear_shapes(f"layers.{i}.attention.qkv", (sum(config.qkv_rows), width), config.attention_bias or config.qkv_bias)
        yield from _linear_shapes(f"layers.{i}.attention.out", (width, config.qkv_rows[0]), config.attention_bias)
        if config.qk_norm:
            yield f"layers.{i}.attention.q_norm.weight", (config.head_width,)
            yield f"layers.{i}.attention.k_norm.weight", (config.head_width,)
        if config.sandwich_norm:
            yield from _norm_shapes(f"layers.{i}.attention_post_norm", width, biased_norm)
        yield from _norm_shapes(f"layers.{i}.mlp_norm", width, biased_norm)
        yield from _linear_shapes(f"layers.{i}.mlp.up", (sum(config.up_rows), width), config.mlp_bias)
        yield from _linear_shapes(f"layers.{i}.mlp.down", (width, config.mlp_width), config.mlp_bias)
        if config.sandwich_norm:
            yield from _norm_shapes(f"layers.{i}.mlp_post_norm", width, biased_norm)
    yield from _norm_shapes("final_norm", width, biased_norm)
    if not config.tie_word_embeddings:
        yield "lm_head.weight", (config.vocab_size, width)


def _norm_shapes(name: str, width: int, biased: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    if biased:
        yield f"{name}.bias", (width,)


def _linear_shapes(name: str, shape: Shape, biased: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", shape
    if biased:
        yield f"{name}.bias", shape[:1]


def entries(rules: Sequence[ModuleMapping], config: DecoderConfig) -> Iterator[ParameterMapping]:
    """One entry a parameter of `config`; an empty list of rules means the same names on both sides."""
    by_module = {rule.ours: rule for rule in rules}
    for name, shape in parameter_shapes(config):
        module, _, kind = name.rpartition(".")
        layer = re.search(r"\.(\d+)\.", name)
        index = layer.group(1) if layer else ""
        template = module.replace(f".{index}.", ".{i}.", 1) if index else module
        rule = by_module[template] if rules else ModuleMapping(template, (template,))
        theirs = tuple(f"{each.replace('{i}', index)}.{kind}" for each in rule.theirs)
        rows = _rows(template, config) if len(theirs) > 1 else shape[:1]
        yield ParameterMapping(name, shape, theirs, rows, rule.transposed)


def _rows(template: str, config: DecoderConfig) -> tuple[int, ...]:
    return config.qkv_rows if template.endswith(".qkv") else config.up_rows


def check_shapes(found: Mapping[str, Shape], rules: Sequence[ModuleMapping], config: DecoderConfig, spare: Sequence[str] = ()) -> None:
    """Compare what a file holds with what its configuration says, before anything is read.

    `spare` are patterns of tensors that may be there and are not needed. Raises ModelError for the first tensor that is
    missing, has another shape, or is not expected.
    """
    check_entries(found, entries(rules, config), (*spare, "lm_head\\.weight") if config.tie_word_embeddings else spare)


def check_entries(found: Mapping[str, Shape], expected_entries: Iterable[ParameterMapping], spare: Sequence[str] = ()) -> None:
    """The same for entries of any network."""
    expected: set[str] = set()
    for entry in expected_entries:
        for part, name in enumerate(entry.theirs):
            if name not in found:
                raise ModelError(f"the tensor {name} is missing: the weights do not fit config.json, which asks for it")
            if found[name] != entry.part_shape(part):
                raise ModelError(f"the tensor {name} has the shape {list(found[name])}, config.json says {list(entry.part_shape(part))}")
            expected.add(name)
    allowed = re.compile("|".join(spare) or "(?!)")
    strange = sorted(name for name in found if name not in expected and not allowed.fullmatch(name))
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise ModelError(f"unexpected tensor {strange[0]}{more}: the weights do not fit config.json, which has no place for it")


def to_theirs(state: Mapping[str, Tensor], rules: Sequence[ModuleMapping], config: DecoderConfig) -> dict[str, Tensor]:
    """Our state dict under their names, split and transposed; the tensors are contiguous copies or views."""
    return split_entries(state, entries(rules, config))


def split_entries(state: Mapping[str, Tensor], wanted: Iterable[ParameterMapping]) -> dict[str, Tensor]:
    """The same for entries of any network."""
    tensors: dict[str, Tensor] = {}
    for entry in wanted:
        if entry.ours not in state or tuple(state[entry.ours].shape) != entry.shape:
            seen = list(state[entry.ours].shape) if entry.ours in state else "missing"
            raise ModelError(f"the parameter {entry.ours} is {seen}, its configuration says {list(entry.shape)}")
        for name, part in zip(entry.theirs, state[entry.ours].split(entry.rows), strict=True):
            tensors[name] = (part.T if entry.transposed and part.ndim == 2 else part).contiguous()
    return tensors


def from_theirs(
    tensors: Mapping[str, Tensor], rules: Sequence[ModuleMapping], config: DecoderConfig, spare: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Their tensors as our state dict.

    Raises ModelError as `check_shapes` does, and when a tied output projection differs from the embedding.
    """
    check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, rules, config, spare)
    state = join_entries(tensors, entries(rules, config))
    head = tensors.get("lm_head.weight")
    if config.tie_word_embeddings and head is not None and not torch.equal(head, state["embed_tokens.weight"]):
        raise ModelError("config.json says tie_word_embeddings, but lm_head.weight differs from the embedding: set it to false")
    return state


def join_entries(tensors: Mapping[str, Tensor], wanted: Iterable[ParameterMapping]) -> dict[str, Tensor]:
    """Our state dict of any network from tensors that have been checked."""
    state: dict[str, Tensor] = {}
    for entry in wanted:
        parts = [tensors[name].T if entry.transposed and tensors[name].ndim == 2 else tensors[name] for name in entry.theirs]
        state[entry.ours] = parts[0].contiguous() if len(parts) == 1 else torch.cat(parts)
    return state
