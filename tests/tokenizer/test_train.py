import random
import subprocess
import sys

import pytest

from hanmo.base.errors import DataError
from hanmo.tokenizer import train
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.train import train_tokenizer


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "character", "word"])
def test_the_same_texts_in_any_order_give_the_same_files(texts, kind, tmp_path):
    config = TokenizerConfig(kind=kind, vocab_size=450)
    for place, order in (("a", texts), ("b", random.Random(3).sample(texts, len(texts)))):
        train_tokenizer(iter(order), config).save(tmp_path / place)
    for file in ("tokenizer.json", "tokenizer_config.json", "vocabulary.tsv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_another_process_gives_the_same_tokenizer(texts):
    program = (
        "import sys, json\n"
        "from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer\n"
        "print(train_tokenizer(json.load(sys.stdin), TokenizerConfig(vocab_size=300)).fingerprint)"
    )
    import json

    made = subprocess.run([sys.executable, "-c", program], input=json.dumps(texts), capture_output=True, text=True, check=True)
    assert made.stdout.strip() == train_tokenizer(texts, TokenizerConfig(vocab_size=300)).fingerprint


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
