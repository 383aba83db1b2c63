from tests.model.families.conftest import CONFIGS

from hanmo.model.decoder import Decoder
from hanmo.model.families.qwen3 import LAYOUT


def test_query_and_key_norms_have_their_own_tensors() -> None:
    config = CONFIGS["qwen3"]
    tensors = LAYOUT.to_hf_weights(Decoder(config).state_dict(), config)
    assert tensors["model.layers.1.self_attn.q_norm.weight"].shape == (16,)


def test_every_layer_is_said_to_attend_fully() -> None:
    assert LAYOUT.to_hf(CONFIGS["qwen3"])["layer_types"] == ["full_attention"] * 2
