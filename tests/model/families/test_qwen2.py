from tests.model.families.conftest import CONFIGS

from hanmo.model.decoder import Decoder
from hanmo.model.families.qwen2 import LAYOUT


def test_queries_keys_and_values_have_biases_and_the_output_has_none() -> None:
    config = CONFIGS["qwen2"]
    tensors = LAYOUT.to_hf_weights(Decoder(config).state_dict(), config)
    names = {name.removeprefix("model.layers.1.self_attn.") for name in tensors if name.startswith("model.layers.1.self_attn.")}
    assert {name for name in names if name.endswith("bias")} == {"q_proj.bias", "k_proj.bias", "v_proj.bias"}


def test_no_word_of_its_config_speaks_of_biases() -> None:
    assert not any("bias" in key for key in LAYOUT.to_hf(CONFIGS["qwen2"]))
