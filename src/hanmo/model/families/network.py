"""A family that is no decoder: an encoder, or an encoder with a decoder; a configuration in its own words and a weight map.

What a file holds decides about heads, which config.json does not name; so a configuration is read with the tensors' names.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from hanmo.base.errors import ConfigError, ModelError
from hanmo.model.families.fields import Fields
from hanmo.model.families.weights import ModuleMapping, ParameterMapping, Shape, check_entries, join_entries, split_entries
from hanmo.model.without_weights import without_weights

C = TypeVar("C")
Names = frozenset[str]


@dataclass(frozen=True, kw_only=True)
class NetworkLayout(Generic[C]):
    """One way of writing a network of configuration C down, known to other tools under `model_type`."""

    model_type: str
    """The word in config.json."""
    architecture: Callable[[C], str]
    """The class of transformers that reads it."""
    build: Callable[[C], nn.Module]
    """The network of a configuration."""
    expresses: Callable[[C], bool]
    """Whether a network of this configuration, written so, computes the same elsewhere."""
    write: Callable[[C], dict[str, object]]
    """The configuration in the family's words."""
    read: Callable[[Fields, Names], C]
    """The family's words, and the names of the tensors, as a configuration; ModelError for anything that we cannot do."""
    rules: Callable[[C], tuple[ModuleMapping, ...]] = lambda config: ()
    """The weight map; empty for our own names."""
    prefix: str = ""
    """What the names of a bare base model lack."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Endings that old files have, with those that took their place."""
    spare: tuple[str, ...] = ()
    """Patterns of tensors that files carry and nobody needs."""
    copies: tuple[tuple[str, str], ...] = ()
    """Tensors that may stand in a file once more, with the parameter of ours that they have to equal; not read where
    the configuration has a parameter for them."""

    def to_hf(self, config: C) -> dict[str, object]:
        """The keys of config.json."""
        return {"model_type": self.model_type, "architectures": [self.architecture(config)], **self.write(config)}

    def from_hf(self, values: Mapping[str, object], names: Sequence[str] | Mapping[str, object]) -> C:
        """The configuration behind a config.json and the tensors beside it.

        Raises ModelError when it contradicts itself or asks for what we cannot compute.
        """
        return self.read(Fields(values, self.model_type), self._names(names))

    def unused(self, values: Mapping[str, object], names: Sequence[str] | Mapping[str, object]) -> list[str]:
        """Keys of a config.json that neither this family nor transformers reads."""
        fields = Fields(values, self.model_type)
        self.read(fields, self._names(names))
        return fields.unused()

    def to_hf_weights(self, state: Mapping[str, Tensor], config: C) -> dict[str, Tensor]:
        """Our state dict under the family's names."""
        return split_entries(state, self.entries(config))

    def check_shapes(self, shapes: Mapping[str, Shape], config: C) -> None:
        """Raise ModelError unless a file with these tensors fits the configuration."""
        layers = max(getattr(config, name, 1) for name in ("num_hidden_layers", "decoder_layers"))
        if layers > len(shapes):
            raise ModelError(f"config.json asks for {layers} layers, the file has {len(shapes)} tensors: one of them is wrong")
        found = {self.full_name(name, shapes): shape for name, shape in shapes.items()}
        check_entries(found, self.entries(config), (*self.spare, *(re.escape(theirs) for theirs, _ in self.copies)))

    def from_hf_weights(self, tensors: Mapping[str, Tensor], config: C) -> dict[str, Tensor]:
        """The family's tensors as our state dict.

        Raises ModelError for a tensor that is missing, unexpected, of another shape, or a copy that differs.
        """
        self.check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, config)
        named = {self.full_name(name, tensors): tensor for name, tensor in tensors.items()}
        wanted = list(self.entries(config))
        state = join_entries(named, wanted)
        used = {name for entry in wanted for name in entry.theirs}
        for theirs, ours in self.copies:
            if theirs in named and theirs not in used and ours in state and not torch.equal(named[theirs], state[ours]):
                raise ModelError(f"the tensor {theirs} should be equal to what it shares its numbers with, and is not: it would be lost")
        return state

    def entries(self, config: C) -> Iterator[ParameterMapping]:
        """One entry a parameter or buffer, in order; shapes are those of the network itself, built without memory."""
        by_module = {rule.ours: rule for rule in self.rules(config)}
        with without_weights():
            network = self.build(config)
        for name, tensor in network.state_dict().items():
            module, _, kind = name.rpartition(".")
            layer = re.search(r"\.(\d+)\.", name)
            index = layer.group(1) if layer else ""
            template = module.replace(f".{index}.", ".{i}.", 1) if index else module
            rule = by_module.get(name) or by_module.get(template)
            if rule is None and by_module:
                raise ModelError(f"a {self.model_type} model has no place for {name}")
            ending = "" if rule is not None and rule.ours == name else f".{kind}"
            theirs = (name,) if rule is None else tuple(f"{each.replace('{i}', index)}{ending}" for each in rule.theirs)
            shape = tuple(tensor.shape)
            rows = (shape[0] // len(theirs),) * len(theirs)
            yield ParameterMapping(name, shape, theirs, rows, transposed=False)

    def full_name(self, name: str, names: Mapping[str, object] | Sequence[str] | Names) -> str:
        """A tensor's name as new files of a model with its heads have it."""
        for old, new in self.renamed:
            if name.endswith(old):
                name = name.removesuffix(old) + new
        bare = self.prefix and not any(each.startswith(self.prefix) for each in names)
        return self.prefix + name if bare else name

    def is_spare(self, name: str, names: Mapping[str, object]) -> bool:
        """Whether a tensor is one that nobody needs."""
        return bool(self.spare) and re.fullmatch("|".join(self.spare), self.full_name(name, names)) is not None

    def _names(self, names: Sequence[str] | Mapping[str, object]) -> Names:
        return frozenset(self.full_name(name, names) for name in names)


def built(kind: type[C], **values: object) -> C:
    """A configuration from checked values.

    Raises ModelError where the sizes do not fit together.
    """
    size = values.get("vocab_size")
    if not isinstance(size, int) or size < 1:
        raise ModelError(f"config.json: vocab_size (={size}) should be positive")
    try:
        return kind(**values)
    except ConfigError as error:
        raise ModelError("config.json: " + re.sub(r"\bencoder(_decoder)?\.", "", str(error))) from error
