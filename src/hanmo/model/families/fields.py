"""Reading a foreign config.json: every key is taken, refused or named; none is dropped in silence."""

import sys
from collections.abc import Mapping, Sequence

from hanmo.base.errors import ConfigError, ModelError
from hanmo.model.config import Activation, DecoderConfig

LARGEST = 1 << 24
"""No size of a network comes near it; beyond, Python's own lists and torch's tensors fail in ways of their own."""
BOOKKEEPING = frozenset(
    [
        "model_type",
        "architectures",
        "transformers_version",
        "torch_dtype",
        "dtype",
        "_name_or_path",
        "name_or_path",
        "use_cache",
        "id2label",
        "label2id",
        "num_labels",
        "problem_type",
        "output_attentions",
        "output_hidden_states",
        "return_dict",
        "return_dict_in_generate",
        "pad_token_id",
        "chunk_size_feed_forward",
        "task_specific_params",
        "pretraining_tp",
        "_attn_implementation_autoset",
        "attn_implementation",
        "auto_map",
        "cls_token_id",
        "sep_token_id",
        "keys_to_ignore_at_inference",
        "transformers.js_config",
    ]
)
"""Keys that change nothing of what a decoder computes."""

THEIR_ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_pytorch_tanh",
    "gelu_pytorch_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "relu2": "relu2",
}


class Fields:
    """The keys of one config.json, taken one by one with their types checked; every failure is a ModelError."""

    def __init__(self, values: Mapping[str, object], family: str) -> None:
        self.values, self.family = values, family
        self._taken: set[str] = set()

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number; a null or absent key gives the default.

        Raises ModelError when there is neither.
        """
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= LARGEST:
            raise self.wrong(key, value, "a whole number below 2^24")
        return value

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            raise self.wrong(key, value, "a number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def word(self, key: str, default: str) -> str:
        """A word."""
        value = self._take(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, value, "a word")
        return value

    def activation(self, key: str, default: str) -> Activation:
        """The activation of the MLP in our words."""
        value = self._take(key, default)
        if not isinstance(value, str) or value not in THEIR_ACTIVATIONS:
            raise self.wrong(key, value, f"one of {', '.join(THEIR_ACTIVATIONS)}")
        return THEIR_ACTIVATIONS[value]

    def token(self, key: str) -> int | None:
        """A token id, the first of a list, or None; the folder's generation_config.json keeps the whole list."""
        value = self._take(key, None)
        if isinstance(value, list) and value:
            value = value[0]
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, value, "a token id")
        return value

    def require(self, key: str, allowed: Sequence[object], meaning: str) -> None:
        """Refuse a setting that would change the numbers in a way we do not compute.

        Raises ModelError unless the key is absent, null or one of `allowed`.
        """
        value = self._take(key, None)
        if value is not None and value not in allowed:
            raise ModelError(f"config.json: {key} (={value!r}) asks for {meaning}, which {self.family} models do not have here")

    def skip(self, key: str) -> None:
        """Note a key as read elsewhere or without effect."""
        self._taken.add(key)

    def table(self, key: str) -> Mapping[str, object]:
        """A table of keys, empty when absent."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, value, "a table")
        return value

    def _take(self, key: str, default: object) -> object:
        self._taken.add(key)
        value = self.values.get(key)
        return default if value is None else value

    def wrong(self, key: str, value: object, wanted: str) -> ModelError:
        """The error for a value that is missing or of the wrong kind."""
        if value is None:
            return ModelError(f"config.json: {key} is missing: a {self.family} model cannot be built without it")
        return ModelError(f"config.json: {key} (={repr(value)[:60]}) should be {wanted}")

    def unused(self) -> list[str]:
        """Keys that nothing here reads, to be told to the user."""
        return sorted(key for key in self.values if key not in self._taken and key not in BOOKKEEPING and not key.startswith("summary_"))


def same_or_default(value: int, default: int) -> int:
    """0, our word for "follows from the others", when the value is what follows."""
    return 0 if value == default else value


def checked(**values: object) -> DecoderConfig:
    """A DecoderConfig from checked values.

    Raises ModelError where the sizes do not fit together.
    """
    for name in ("vocab_size", "intermediate_size", "num_key_value_heads", "head_dim"):
        value = values.get(name, 0)
        if isinstance(value, int) and value < (1 if name == "vocab_size" else 0):
            raise ModelError(f"config.json: {name} (={value}) should be positive")
    value = values.get("norm_eps", 1.0)
    if isinstance(value, float) and value <= 0:
        raise ModelError(f"config.json: norm_eps (={value}) should be positive")
    try:
        return DecoderConfig(**values)  # pyright: ignore[reportArgumentType]
    except ConfigError as error:
        raise ModelError(f"config.json: {str(error).replace('model.', '')}") from error
