"""What a family is: a configuration in its own words and a weight map, no forward pass of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from hanmo.model.config import DecoderConfig
from hanmo.model.families.fields import Fields
from hanmo.model.families.weights import ModuleMapping, Shape, check_shapes, from_theirs, to_theirs


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way of writing a decoder down, known to other tools under `model_type`."""

    model_type: str
    """The word in config.json."""
    architecture: str
    """The class of transformers that reads it."""
    expresses: Callable[[DecoderConfig], bool]
    """Whether a decoder of this configuration, written so, computes the same elsewhere."""
    write: Callable[[DecoderConfig], dict[str, object]]
    """The configuration in the family's words."""
    read: Callable[[Fields], DecoderConfig]
    """The family's words as a configuration; ModelError for anything that we cannot do."""
    rules: tuple[ModuleMapping, ...] = ()
    """The weight map; empty for our own names."""
    base: str = ""
    """That class without an output head, where its name does not follow."""
    prefix: str = ""
    """What the names of a bare base model lack ("transformer." or "model.")."""
    spare: tuple[str, ...] = ()
    """Patterns of tensors that old files carry and nobody needs."""

    @property
    def bare_architecture(self) -> str:
        """The class of transformers that reads it without an output head."""
        return self.base or self.architecture.removesuffix("ForCausalLM").removesuffix("LMHeadModel") + "Model"

    def to_hf(self, config: DecoderConfig) -> dict[str, object]:
        """The keys of config.json."""
        return {"model_type": self.model_type, "architectures": [self.architecture], **self.write(config)}

    def from_hf(self, values: Mapping[str, object]) -> DecoderConfig:
        """The configuration behind a config.json.

        Raises ModelError when it contradicts itself or asks for what we cannot compute.
        """
        return self.read(Fields(values, self.model_type))

    def unused(self, values: Mapping[str, object]) -> list[str]:
        """Keys of a config.json that neither this family nor transformers reads."""
        fields = Fields(values, self.model_type)
        self.read(fields)
        return fields.unused()

    def to_hf_weights(self, state: Mapping[str, Tensor], config: DecoderConfig) -> dict[str, Tensor]:
        """Our state dict under the family's names."""
        return to_theirs(state, self.rules, config)

    def from_hf_weights(self, tensors: Mapping[str, Tensor], config: DecoderConfig) -> dict[str, Tensor]:
        """The family's tensors as our state dict.

        Raises ModelError for a tensor that is missing, unexpected or of another shape.
        """
        return from_theirs({self.full_name(name, tensors): tensor for name, tensor in tensors.items()}, self.rules, config, self.spare)

    def check_shapes(self, shapes: Mapping[str, Shape], config: DecoderConfig) -> None:
        """Raise ModelError unless a file with these tensors fits the configuration."""
        check_shapes({self.full_name(name, shapes): shape for name, shape in shapes.items()}, self.rules, config, self.spare)

    def full_name(self, name: str, names: Mapping[str, object]) -> str:
        """A tensor's name with the prefix that files of a bare base model leave out."""
        bare = self.prefix and not any(each.startswith(self.prefix) for each in names)
        return self.prefix + name if bare and name != "lm_head.weight" else name
