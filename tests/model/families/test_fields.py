import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.families.conftest import CONFIGS, MIXTURES

from hanmo.base.errors import ModelError
from hanmo.model import families
from hanmo.model.families.fields import THEIR_ACTIVATIONS, Fields
from hanmo.model.families.rope import KEYS

LIES: list[tuple[str, dict[str, object], str]] = [
    ("llama", {"hidden_size": None}, "hidden_size is missing"),
    ("llama", {"hidden_size": "wide"}, r"hidden_size \(='wide'\) should be a whole number below"),
    ("llama", {"hidden_size": 32.5}, "hidden_size"),
    ("qwen3", {"num_hidden_layers": 10**300}, "num_hidden_layers .* whole number below"),
    ("llama", {"hidden_size": 0}, r"hidden_size \(=0\) should be at least 1"),
    ("llama", {"hidden_size": 33, "head_dim": None}, "not a multiple"),
    ("llama", {"num_attention_heads": True}, "num_attention_heads"),
    ("llama", {"num_attention_heads": -4}, r"num_attention_heads \(=-4\) should be at least 1"),
    ("llama", {"num_key_value_heads": 3}, r"num_key_value_heads \(=3\)"),
    ("llama", {"num_key_value_heads": -2}, "should be positive"),
    ("llama", {"vocab_size": 0}, r"vocab_size \(=0\) should be positive"),
    ("llama", {"rms_norm_eps": "small"}, "rms_norm_eps"),
    ("llama", {"rms_norm_eps": float("nan")}, "rms_norm_eps"),
    ("llama", {"rms_norm_eps": -1e-6}, "norm_eps"),
    ("llama", {"rope_theta": 0.0, "rope_parameters": None}, r"rope_theta \(=0.0\) should be above 1"),
    ("llama", {"partial_rotary_factor": 0.5}, "positions on a part of each head"),
    ("llama", {"quantization_config": {"bits": 4}}, "quantised weights"),
    ("llama", {"hidden_act": "mish"}, r"hidden_act \(='mish'\) should be one of"),
    ("llama", {"mlp_bias": "yes"}, "true or false"),
    ("llama", {"eos_token_id": "end"}, "a token id"),
    ("llama", {"attention_dropout": 1.5}, "attention_dropout"),
    ("gemma3_text", {"final_logit_softcapping": 30.0}, "logits kept within bounds"),
    ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attention scores kept within bounds"),
    ("gemma3_text", {"use_bidirectional_attention": True}, "attention to what follows"),
    ("gemma3_text", {"query_pre_attn_scalar": 0}, r"query_pre_attn_scalar \(=0\) should be at least 1"),
    ("gemma3_text", {"hidden_activation": "mish"}, "hidden_activation"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scaled by the layer"),
    ("gpt2", {"scale_attn_weights": False}, "not scaled"),
    ("gpt2", {"add_cross_attention": True}, "encoder"),
    ("gpt2", {"n_ctx": 7}, r"n_ctx \(=7\)"),
    ("gpt2", {"n_head": 5}, "not a multiple"),
]


@pytest.mark.parametrize(
    ("family", "lie", "message"), LIES, ids=[f"{family} {next(iter(lie))} {i}" for i, (family, lie, _) in enumerate(LIES)]
)
def test_a_configuration_that_lies_or_asks_too_much_is_refused(family: str, lie: dict[str, object], message: str) -> None:
    layout = families.layout_of(CONFIGS[family])
    with pytest.raises(ModelError, match=message) as caught:
        layout.from_hf({**layout.to_hf(CONFIGS[family]), **lie})
    assert "\n" not in str(caught.value)


def test_what_old_files_leave_out_takes_the_familys_default() -> None:
    layout = families.layout_of(CONFIGS["llama"])
    values = layout.to_hf(CONFIGS["llama"])
    for key in ("num_key_value_heads", "rope_theta", "rope_parameters", "attention_bias", "mlp_bias", "head_dim", "tie_word_embeddings"):
        del values[key]
    config = layout.from_hf(values)
    assert (config.key_value_heads, config.head_width, config.rope_theta, config.tie_word_embeddings) == (4, 8, 10000.0, False)


def test_qwen3_without_head_dim_takes_128_as_transformers_does() -> None:
    layout = families.layout_of(CONFIGS["qwen3"])
    values = layout.to_hf(CONFIGS["qwen3"])
    del values["head_dim"]
    assert layout.from_hf(values).head_width == 128


def test_keys_nobody_reads_are_named_and_bookkeeping_is_not() -> None:
    layout = families.layout_of(CONFIGS["llama"])
    values = {**layout.to_hf(CONFIGS["llama"]), "transformers_version": "9", "unsloth_fixed": True, "use_cache": True}
    assert layout.unused(values) == ["unsloth_fixed"]


def test_of_several_end_tokens_the_first_is_the_models() -> None:
    assert Fields({"eos_token_id": [7, 9]}, "llama").token("eos_token_id") == 7
    assert Fields({"eos_token_id": None}, "llama").token("eos_token_id") is None


def test_both_names_of_the_tanh_gelu_are_one_activation() -> None:
    assert THEIR_ACTIVATIONS["gelu_new"] == THEIR_ACTIVATIONS["gelu_pytorch_tanh"] == "gelu_pytorch_tanh"
    assert Fields({"hidden_act": "swish"}, "llama").activation("hidden_act", "silu") == "silu"


plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-1, 9), st.just(10**400), st.floats(), st.floats(0.5, 9.0), st.text(max_size=5)
)
kinds = st.lists(st.sampled_from(["full_attention", "sliding_attention", "chunked_attention"]), max_size=7)
rotary = st.fixed_dictionaries(
    {},
    optional={
        "rope_type": st.one_of(st.sampled_from(["default", "linear", "llama3", "yarn", "longrope"]), plain),
        **dict.fromkeys(("type", "rope_theta", *KEYS["llama3"], *KEYS["yarn"], "mscale"), plain),
    },
)
anything = st.one_of(
    plain,
    kinds,
    st.lists(st.integers(), max_size=2),
    rotary,
    st.fixed_dictionaries({}, optional={"full_attention": rotary, "sliding_attention": st.one_of(rotary, plain), "mystery": plain}),
)
MORE = ("rope_scaling", "sliding_window", "sliding_window_pattern", "max_window_layers", "use_sliding_window", "n_ctx", "mystery")


@settings(max_examples=400, deadline=None)
@given(data=st.data(), name=st.sampled_from([*CONFIGS, "sinusoidal"]))
def test_any_config_is_a_configuration_or_one_line(data: st.DataObject, name: str) -> None:
    config = {**CONFIGS, **MIXTURES}[name]
    layout = families.layout_of(config)
    values = layout.to_hf(config)
    lies = data.draw(st.dictionaries(st.sampled_from([*values, *MORE]), anything, min_size=1, max_size=4))
    try:
        read = layout.from_hf({**values, **lies})
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert layout.from_hf(layout.to_hf(read)) == read
