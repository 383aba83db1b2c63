import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.model.families.conftest import MARIAN, VASWANI, lively

from hanmo.base.errors import ModelError
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families.marian import LAYOUT
from hanmo.model.store import load_model, save_model

VALUES = LAYOUT.to_hf(MARIAN)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"decoder_vocab_size": 70}, "a vocabulary for each language"),
        ({"decoder_ffn_dim": 7}, "another number than encoder_ffn_dim"),
        ({"decoder_attention_heads": 8}, "another number"),
        ({"share_encoder_decoder_embeddings": False}, "an embedding for each language"),
        ({"normalize_before": True}, "norms before"),
        ({"tie_word_embeddings": False}, "three embeddings"),
        ({"encoder_attention_heads": 0}, "at least 1"),
    ],
)
def test_what_we_do_not_compute_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LAYOUT.from_hf({**VALUES, **keys}, [])


def test_files_that_carry_their_sines_and_copies_are_read(tmp_path: Path) -> None:
    network = lively(MARIAN)
    save_model(network, tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    tensors = load_file(path)
    shared = tensors["model.shared.weight"]
    copies = {f"model.{half}.embed_tokens.weight": shared.clone() for half in ("encoder", "decoder")}
    save_file({**tensors, **copies, "model.encoder.embed_positions.weight": torch.zeros(512, 32)}, path)
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, EncoderDecoder)
    assert loaded.output_bias is not None
    assert torch.equal(loaded.output_bias, tensors["final_logits_bias"])


def test_the_order_of_sines_and_norms_make_a_marian() -> None:
    assert LAYOUT.expresses(MARIAN)
    assert not LAYOUT.expresses(VASWANI)
    assert not LAYOUT.expresses(dataclasses.replace(MARIAN, post_norm=False))
