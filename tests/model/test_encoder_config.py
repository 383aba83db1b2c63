import pytest

from hanmo.base.errors import ConfigError
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 10}, r"encoder.hidden_size \(=10\) is not a multiple of encoder.num_attention_heads \(=4\)"),
        ({"num_hidden_layers": 0}, r"encoder.num_hidden_layers \(=0\) should be at least 1"),
        ({"hidden_dropout": 1.0}, r"encoder.hidden_dropout \(=1.0\)"),
        ({"type_vocab_size": 0}, "type_vocab_size"),
        ({"position_offset": 256}, "leaves no row"),
    ],
)
def test_sizes_of_an_encoder_that_do_not_fit_are_named(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EncoderConfig(**values)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 10}, "is not a multiple"),
        ({"num_decoder_layers": -1}, "should not be negative"),
        ({"relative_attention_num_buckets": 2}, "at least 4"),
        ({"relative_attention_max_distance": 16}, "more than half"),
    ],
)
def test_sizes_of_an_encoder_decoder_that_do_not_fit_are_named(values: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EncoderDecoderConfig(**values)  # pyright: ignore[reportArgumentType]


def test_what_is_left_out_follows_from_the_rest() -> None:
    encoder = EncoderConfig(max_position_embeddings=514, position_offset=2)
    assert (encoder.context_length, encoder.mlp_width, encoder.head_width) == (512, 1024, 64)
    both = EncoderDecoderConfig(hidden_size=12, num_attention_heads=4, gated_mlp=False, num_hidden_layers=3, pad_token_id=5)
    assert (both.decoder_layers, both.head_width, both.mlp_width, both.start_token_id) == (3, 3, 48, 5)
    assert EncoderDecoderConfig(bos_token_id=7).start_token_id == 7
    assert EncoderDecoderConfig(bos_token_id=7, decoder_start_token_id=2).start_token_id == 2
    assert EncoderDecoderConfig(hidden_size=256).mlp_width == 704
