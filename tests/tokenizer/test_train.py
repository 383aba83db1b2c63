import hashlib
import json
import random
import subprocess
import sys

import pytest

from hanmo.base.errors import DataError
from hanmo.tokenizer import train
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "character", "word"])
def test_the_same_texts_in_any_order_give_the_same_files(texts, kind, tmp_path):
    config = TokenizerConfig(kind=kind, vocab_size=450)
    for place, order in (("a", texts), ("b", random.Random(3).sample(texts, len(texts)))):
        train_tokenizer(iter(order), config).save(tmp_path / place)
    for file in ("tokenizer.json", "tokenizer_config.json", "vocabulary.tsv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


# What these settings gave when they were first released: vocabulary and merges, SHA-256.
RELEASED = {
    "gpt2": "c1c11c43b63b4d5b",
    "gpt4": "cc54e05a7190b191",
    "deepseek": "ed3b6b9f281dbf5d",
    "character": "64f5bde8ae71041a",
    "closed": "e7aa53998e3b87f1",
    "word": "c48c61d44d77c805",
}


@pytest.mark.parametrize("name", RELEASED)
def test_the_same_settings_give_the_tokenizer_that_they_always_gave(trained, name):
    model = trained[name].form["model"]
    assert hashlib.sha256(json.dumps([model["vocab"], model.get("merges")]).encode()).hexdigest()[:16] == RELEASED[name]


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_another_process_gives_the_same_tokenizer(texts, kind):
    program = (
        "import sys, json\n"
        "from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer\n"
        f"print(train_tokenizer(json.load(sys.stdin), TokenizerConfig(kind={kind!r}, vocab_size=430)).fingerprint)"
    )
    made = subprocess.run([sys.executable, "-c", program], input=json.dumps(texts), capture_output=True, text=True, check=True)
    assert made.stdout.strip() == train_tokenizer(texts, TokenizerConfig(kind=kind, vocab_size=430)).fingerprint


def test_frequent_pieces_become_one_token_each(trained, texts):
    tokenizer = trained["deepseek"]
    assert tokenizer.vocab_size == 400
    for text in (" the", "渔船"):
        assert len(tokenizer.encode(text)) == 1
    assert len(tokenizer.encode(texts[2])) < len(texts[2].encode()) / 2


def test_a_long_chinese_clause_does_not_make_long_tokens(texts):
    clause = "渔船出海老人望着远处的灯塔孩子们在码头上等着" * 30
    tokenizer = train_tokenizer([clause] * 3, TokenizerConfig(vocab_size=2000))
    assert max(len(tokenizer.bytes_of(id)) for id in range(tokenizer.vocab_size)) <= 3 * 8
    assert tokenizer.decode(tokenizer.encode(clause).tolist()) == clause


def test_characters_seen_have_tokens_and_others_are_bytes(trained, texts):
    tokenizer = trained["character"]
    seen = set("".join(texts))
    assert tokenizer.vocab_size == 1 + 256 + len(seen)
    assert len(tokenizer.encode(texts[1])) == len(texts[1])
    assert len(tokenizer.encode("鯨")) == 3


def test_a_full_character_vocabulary_keeps_the_most_frequent(texts):
    tokenizer = train_tokenizer(texts, TokenizerConfig(kind="character", vocab_size=257 + 5))
    assert tokenizer.vocab_size == 262
    assert len(tokenizer.encode(" ")) == len(tokenizer.encode("e")) == 1
    assert len(tokenizer.encode("渔")) == 3


def test_a_corpus_beyond_the_budget_is_sampled_and_said(texts, capsys):
    many = [f"{number}. {text}" for number in range(60) for text in texts]
    tokenizer = train_tokenizer(many, TokenizerConfig(vocab_size=300, max_training_memory_bytes=200_000))
    assert "chosen by hash" in capsys.readouterr().err
    assert 0 < tokenizer._settings["hanmo_trained_on_bytes"] < tokenizer._settings["hanmo_corpus_bytes"]


def test_a_vocabulary_smaller_than_asked_is_said(capsys):
    assert train_tokenizer(["a b a b"], TokenizerConfig()).vocab_size < 300
    assert "fewer than tokenizer.vocab_size" in capsys.readouterr().err


def test_counting_goes_over_every_piece(monkeypatch):
    monkeypatch.setattr(train, "COUNT_GROUP", 2)
    tokenizer = train_tokenizer([f"{word} " for word in "abcde"], TokenizerConfig(kind="character"))
    assert sum(count for _, _, count in tokenizer.vocabulary()) == 10


@pytest.mark.parametrize("texts_", [[], ["", ""]])
def test_no_text_is_an_error_in_one_line(texts_):
    with pytest.raises(DataError, match="no text to train"):
        train_tokenizer(texts_, TokenizerConfig())


def test_too_small_a_budget_is_named():
    with pytest.raises(DataError, match=r"max_training_memory_bytes \(=1\)"):
        train_tokenizer(["some text"], TokenizerConfig(max_training_memory_bytes=1))


def test_the_sample_and_the_settings_are_recorded_beside_the_tokenizer(texts, tmp_path):
    config = TokenizerConfig(vocab_size=300, max_sample_bytes=1000)
    train_tokenizer(texts, config).save(tmp_path)
    recorded = json.loads((tmp_path / "tokenizer_training.json").read_text("utf-8"))
    assert recorded["tokenizer"]["max_sample_bytes"] == 1000
    assert recorded["sample"]["limits"] == ["max_sample_bytes"]
    assert 0 < recorded["sample"]["bytes"] <= 1000 < recorded["sample"]["of_bytes"] == sum(len(text.encode()) for text in texts)


def test_more_text_than_the_library_can_count_is_sampled_and_said(texts, monkeypatch, capsys):
    from hanmo.tokenizer import sample

    monkeypatch.setattr(sample, "LARGEST_SAMPLE", 900)
    train_tokenizer(texts, TokenizerConfig(vocab_size=300))
    assert "counts in 32 bits" in capsys.readouterr().err


ENDLESS = """
import sys
import numpy as np
from hanmo.base.runtime import peak_memory_bytes
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.train import train_tokenizer

characters = np.array([ord(c) for c in map(chr, range(0x4E00, 0x4E00 + 3000))], dtype=np.uint32)
drawn = np.minimum(np.random.default_rng(1).zipf(1.2, 6_700_000) - 1, 2999)
line = characters[drawn].tobytes().decode("utf-32-le")
assert len(line.encode()) > 20_000_000 and "\\n" not in line
tokenizer = train_tokenizer([line], TokenizerConfig(kind=sys.argv[1], vocab_size=3000, max_training_memory_bytes=int(sys.argv[2])))
print(tokenizer.vocab_size, peak_memory_bytes())
"""


@pytest.mark.parametrize(("kind", "memory"), [("bpe", 200_000_000), ("unigram", 200_000_000)])
def test_one_line_of_20_megabytes_of_chinese_keeps_the_memory_setting(kind, memory):
    """Beside the setting: the libraries, the text, and what it was drawn with; not ru_maxrss, which begins with pytest's own peak."""
    made = subprocess.run([sys.executable, "-c", ENDLESS, kind, str(memory)], capture_output=True, text=True, check=True)
    size, peak = map(int, made.stdout.split())
    assert size == 3000
    assert peak < memory + 250_000_000


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "character", "word"])
def test_special_tokens_of_objectives_are_part_of_the_vocabulary_and_give_no_text(kind, texts, tmp_path):
    config = TokenizerConfig(kind=kind, vocab_size=520, objectives=("masked", "span_corruption"))
    train_tokenizer(texts, config).save(tmp_path)
    tokenizer = Tokenizer.load(tmp_path)
    mask, unknown = tokenizer.special_id("mask_token"), tokenizer.unk_id
    assert mask is not None
    assert tokenizer.vocab_size <= 520
    assert {mask, tokenizer.eot_id} <= tokenizer.special_ids()
    assert unknown is None or (unknown in tokenizer.special_ids() and tokenizer.decode([unknown]) != "")
    assert tokenizer.decode([mask, tokenizer.names().index("<extra_id_99>")]) == ""
    assert tokenizer.special_id("sep_token") == (3 if kind == "wordpiece" else None)
    assert mask not in tokenizer.encode("<mask> [MASK]")
