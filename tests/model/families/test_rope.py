import pytest
from tests.model.families.conftest import CONFIGS

from hanmo.base.errors import ModelError
from hanmo.model import families
from hanmo.model.config import RopeScaling
from hanmo.model.families.fields import Fields
from hanmo.model.families.rope import read_rotary, write_rotary, write_scaling

LLAMA3 = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
SCALING = RopeScaling(rope_type="llama3", factor=32.0, original_max_position_embeddings=8192)


@pytest.mark.parametrize(
    "values",
    [
        {"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
        {"rope_theta": 500000.0, "rope_scaling": {"type": "llama3", **LLAMA3}},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **LLAMA3}},
        {"rope_theta": 500000.0, "rope_parameters": {"rope_type": "llama3", "partial_rotary_factor": 1.0, **LLAMA3}},
        {"rope_theta": 500000, "rope_parameters": write_rotary(500000.0, SCALING), **write_scaling(SCALING)},
    ],
)
def test_old_and_new_words_say_the_same(values: dict[str, object]) -> None:
    assert read_rotary(Fields(values, "llama")) == (500000.0, SCALING)


def test_what_is_not_slowed_down_is_written_without_scaling() -> None:
    assert write_rotary(5.0, RopeScaling()) == {"rope_type": "default", "rope_theta": 5.0}
    assert write_scaling(RopeScaling()) == {}
    assert write_rotary(5.0, RopeScaling(rope_type="yarn", factor=2.0, truncate=False))["truncate"] is False


def test_absent_keys_take_the_familys_default() -> None:
    assert read_rotary(Fields({}, "gemma3_text"), 1e6) == (1e6, RopeScaling())
    assert read_rotary(Fields({"rope_scaling": None, "rope_parameters": {"rope_type": "default"}}, "llama")) == (1e4, RopeScaling())


LIES: list[tuple[dict[str, object], str]] = [
    ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling.low_freq_factor is missing: llama3 needs it"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling and rope_parameters disagree"),
    (
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "mscale": 0.7}},
        r"rope_scaling.mscale \(=0.7\) is not supported with rope_type yarn",
    ),
    ({"rope_scaling": "linear"}, "should be a table"),
    (
        {"rope_parameters": {"rope_type": "longrope"}},
        r"rope_parameters.rope_type \(='longrope'\) is not one that .*: default, linear, llama3",
    ),
    ({"rope_parameters": {"rope_type": ["yarn"]}}, "is not one that this version computes"),
    ({"rope_parameters": {"rope_type": "linear"}}, "rope_parameters.factor is missing: linear needs it"),
    ({"rope_parameters": {"rope_type": "linear", "factor": 0.5}}, r"rope_parameters.factor \(=0.5\) should be at least 1"),
    ({"rope_parameters": {"rope_type": "linear", "factor": "two"}}, r"factor \(='two'\) should be a number"),
    ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "truncate": 1}}, "true or false"),
    ({"rope_parameters": {"rope_type": "llama3", **LLAMA3, "low_freq_factor": 4.0}}, "below high_freq_factor"),
    ({"rope_parameters": [1]}, "should be a table"),
    ({"rope_parameters": {"rope_theta": 5.0}}, "disagree"),
    ({"rope_parameters": {"rope_theta": 10000.0, "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
]


@pytest.mark.parametrize(("lie", "message"), LIES)
def test_a_scaling_that_lies_or_is_not_known_is_refused(lie: dict[str, object], message: str) -> None:
    layout = families.layout_of(CONFIGS["llama"])
    with pytest.raises(ModelError, match=message) as caught:
        layout.from_hf({**layout.to_hf(CONFIGS["llama"]), **lie})
    assert "\n" not in str(caught.value)
