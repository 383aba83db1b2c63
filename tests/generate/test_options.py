import pytest

from hanmo.base.config import build, to_table
from hanmo.base.errors import ConfigError, ModelError
from hanmo.generate.options import SamplingOptions, changed, from_generation_config, not_done


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", 0.0, r"temperature \(=0.0\) should be above 0; .*greedy"),
        ("temperature", -1.0, "temperature"),
        ("temperature", float("nan"), "temperature"),
        ("temperature", float("inf"), "finite"),
        ("max_tokens", -1, "max_tokens"),
        ("top_k", -1, "top_k"),
        ("top_p", 0.0, "top_p"),
        ("top_p", 1.1, "top_p"),
        ("min_p", 1.1, "min_p"),
        ("repetition_penalty", 0.0, "repetition_penalty"),
        ("frequency_penalty", float("nan"), "frequency_penalty"),
        ("no_repeat_ngram_size", -1, "no_repeat_ngram_size"),
        ("num_return_sequences", 0, "num_return_sequences"),
        ("seed", -1, "seed"),
        ("seed", 2**64, "seed"),
        ("stop", ("",), "not empty"),
    ],
)
def test_a_value_that_cannot_be_is_one_line(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        SamplingOptions(**{name: value})  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)


def test_options_go_through_toml_and_back() -> None:
    for options in (SamplingOptions(), SamplingOptions(seed=3, stop=("a", "。"), temperature=0.5, overflow="stop")):
        assert build(SamplingOptions, to_table(options)) == options


def test_changes_are_checked_by_name_and_type() -> None:
    assert changed(SamplingOptions(seed=1), {"temperature": 1}) == SamplingOptions(seed=1, temperature=1.0)
    assert changed(SamplingOptions(), {"stop": ["x"]}).stop == ("x",)
    with pytest.raises(ConfigError, match="did you mean 'top_k'"):
        changed(SamplingOptions(), {"top_kk": 1})
    with pytest.raises(ConfigError, match="top_k"):
        changed(SamplingOptions(), {"top_k": "many"})


def test_a_models_own_defaults_are_taken_in_hugging_faces_words() -> None:
    values = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "max_new_tokens": 7, "eos_token_id": 1, "top_k": None}
    assert from_generation_config(values) == SamplingOptions(temperature=0.6, top_p=0.9, max_tokens=7)
    assert from_generation_config({"do_sample": False}).greedy
    assert from_generation_config({}) == SamplingOptions()
    with pytest.raises(ModelError, match=r"generation_config.json: temperature \(=0.0\)"):
        from_generation_config({"temperature": 0.0})


def test_what_we_do_not_do_is_named() -> None:
    assert not_done({"num_beams": 4, "length_penalty": 1.0, "penalty_alpha": 0.6, "temperature": 2}) == ["num_beams", "penalty_alpha"]
