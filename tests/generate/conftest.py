"""Tiny random networks: what they say is noise, which is the hardest case for equalities."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from hanmo.model.config import DecoderConfig, RecurrentConfig, SoftmaxRegressionConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families import marian
from hanmo.model.recurrent import Recurrent
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.model.store import save_model
from hanmo.tokenizer.load import Tokenizer

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}


OTHERS: dict[str, dict[str, Any]] = {
    "mistral": {"num_key_value_heads": 1, "sliding_window": 6},
    "qwen2": {"num_key_value_heads": 1, "qkv_bias": True, "rope_theta": 1e6},
    "gemma3_text": {
        **{
            "num_key_value_heads": 1,
            "sliding_window": 5,
            "layer_types": ("sliding_attention", "full_attention"),
            "rope_local_base_freq": 1e4,
        },
        **{"qk_norm": True, "sandwich_norm": True, "zero_centered_norm": True, "scale_embedding": True, "hidden_act": "gelu_pytorch_tanh"},
        **{"rope_theta": 1e6, "head_dim": 16},
    },
}
"""Families that see a window or have biases of their own, beside those that every test of this room uses."""


def tiny_decoder(vocab_size: int, context: int, kind: str = "modern") -> Decoder:
    torch.manual_seed(3)
    if kind == "gpt2":
        config = DecoderConfig(
            vocab_size=vocab_size,
            max_position_embeddings=context,
            position_embedding="learned",
            norm="layer_norm",
            gated_mlp=False,
            hidden_act="gelu",
            **SIZES,  # pyright: ignore[reportArgumentType]
        )
    elif kind == "gpt2 layout":
        config = DecoderConfig(
            vocab_size=vocab_size,
            max_position_embeddings=context,
            position_embedding="learned",
            norm="layer_norm",
            gated_mlp=False,
            hidden_act="gelu_pytorch_tanh",
            attention_bias=True,
            mlp_bias=True,
            bos_token_id=0,
            eos_token_id=0,
            **SIZES,  # pyright: ignore[reportArgumentType]
        )
    elif kind == "llama layout":
        config = DecoderConfig(vocab_size=vocab_size, max_position_embeddings=context, bos_token_id=0, eos_token_id=0, **SIZES)  # pyright: ignore[reportArgumentType]
    elif kind in OTHERS:
        own = {**OTHERS[kind], "bos_token_id": 0, "eos_token_id": 0}
        config = DecoderConfig(vocab_size=vocab_size, max_position_embeddings=context, **{**SIZES, **own})  # pyright: ignore[reportArgumentType]
    else:
        config = DecoderConfig(vocab_size=vocab_size, max_position_embeddings=context, num_key_value_heads=1, qk_norm=True, **SIZES)  # pyright: ignore[reportArgumentType]
    return Decoder(config).eval()


def tiny_recurrent(vocab_size: int) -> Recurrent:
    torch.manual_seed(3)
    return Recurrent(RecurrentConfig(vocab_size=vocab_size, hidden_size=16, num_hidden_layers=2, initializer_range=0.5)).eval()


def tiny_regression(vocab_size: int) -> SoftmaxRegression:
    torch.manual_seed(3)
    config = SoftmaxRegressionConfig(vocab_size=vocab_size, hidden_size=8, num_previous_tokens=3, initializer_range=1.0)
    return SoftmaxRegression(config).eval()


def tiny_pair(vocab_size: int, kind: str) -> EncoderDecoder:
    torch.manual_seed(3)
    config = EncoderDecoderConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        pad_token_id=vocab_size - 1,
        bos_token_id=0,
        eos_token_id=0,
    )
    if kind == "marian":
        config = dataclasses.replace(config, **marian.PLAIN, scale_embedding=True, hidden_act="silu", output_bias=True)
    network = EncoderDecoder(config)
    with torch.no_grad():
        for parameter in [*network.parameters(), *network.buffers()]:
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return network.eval()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


LAYOUTS = {"gpt2": "gpt2 layout", "llama": "llama layout", "qwen3": "modern"} | {name: name for name in OTHERS}
LETTERS = "the cat sat on mat 山上有猫月亮 🙂 é"


def fifty_prompts() -> list[str]:
    """Of one to about twenty tokens."""
    chance = np.random.default_rng(5)
    return ["".join(chance.choice(list(LETTERS), size)) for size in chance.integers(0, 18, 50)]


def as_transformers(network: Decoder, tokenizer: Tokenizer, folder: Path, layout: str) -> Any:
    """The same weights in the other library, by way of a folder."""
    tokenizer.save(folder / "tokenizer")
    save_model(network, folder / "model", tokenizer_folder=folder / "tokenizer")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder / "model")
    assert theirs.config.model_type == layout
    return theirs


COUNTED = {"repetition_penalty", "no_repeat_ngram_size", "min_length"}
"""Options under which the other library counts padding as text: rows of one length at a time, then."""


def their_answers(
    theirs: Any, rows: Sequence[Sequence[int]], end_ids: Sequence[int], **options: Any
) -> tuple[list[list[int]], list[float]]:
    """What the other library generates after each row, cut at the first end, and the scores of beams."""
    lengths = sorted({len(row) for row in rows}) if COUNTED & set(options) else [0]
    several = options.get("num_return_sequences", 1)
    answers: dict[int, tuple[list[int], float]] = {}
    for length in lengths:
        members = [place for place, row in enumerate(rows) if length in (0, len(row))]
        made = _their_batch(theirs, [rows[place] for place in members], end_ids, options)
        answers |= zip([place * several + index for place in members for index in range(several)], made, strict=True)
    ordered = [answers[place] for place in range(len(answers))]
    return [ids for ids, _ in ordered], [score for _, score in ordered]


@torch.no_grad()
def _their_batch(
    theirs: Any, rows: Sequence[Sequence[int]], end_ids: Sequence[int], options: dict[str, Any]
) -> list[tuple[list[int], float]]:
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows])
    seen = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    options = {"do_sample": False, "pad_token_id": 0, "return_dict_in_generate": True, "output_scores": True, **options}
    made = theirs.generate(input_ids=ids, attention_mask=seen, eos_token_id=list(end_ids), **options)
    answers = [row[longest:].tolist() for row in made.sequences]
    cut = [row[: next((place for place, id in enumerate(row) if id in end_ids), len(row))] for row in answers]
    scores = getattr(made, "sequences_scores", torch.zeros(len(cut))).tolist()
    return list(zip(cut, scores, strict=True))
