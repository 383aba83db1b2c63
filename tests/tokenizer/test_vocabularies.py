"""Vocabularies of other tools: small ones of our own always, the published ones where they are present."""

import base64
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from hanmo.base.errors import ModelError
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.merges import join, neighbours
from hanmo.tokenizer.train import train_tokenizer
from hanmo.tokenizer.vocabularies import import_vocabulary

TEXTS = [
    "The lamp's on the hill, isn't it?  12 boats\n\n came.",
    "渔船已经出海了，孩子们在码头上等着。",
    "déjà vu 😀 ＝ ｆｕｌｌ",
    "",
    "a\tb\r\nc ",
]


def published(name: str) -> Path:
    """A folder with a published vocabulary, or a skip that says how to give it."""
    for folder in os.environ.get("HANMO_CORPORA", "").split(os.pathsep):
        if folder and (Path(folder) / name).is_dir():
            return Path(folder) / name
    pytest.skip(f"no published vocabulary {name!r}: name a folder that holds it in HANMO_CORPORA")


@pytest.mark.parametrize("lowercase", [False, True])
def test_a_vocab_txt_gives_the_ids_of_berts_own_tokenizer(trained, tmp_path, lowercase):
    from transformers import BertTokenizer

    trained["wordpiece"].save(tmp_path / "made")
    tokenizer = import_vocabulary(tmp_path / "made" / "vocab.txt", lowercase=lowercase)
    theirs = BertTokenizer(str(tmp_path / "made" / "vocab.txt"), do_lower_case=lowercase)
    for text in TEXTS:
        assert tokenizer.encode(text).tolist() == theirs(text, add_special_tokens=False)["input_ids"]
    tokenizer.save(tmp_path / "out")
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (tmp_path / "made" / "vocab.txt").read_bytes()


def test_a_vocab_txt_becomes_a_folder_that_transformers_reads_as_bert(trained, tmp_path):
    from transformers import AutoTokenizer

    trained["wordpiece"].save(tmp_path)
    import_vocabulary(tmp_path).save(tmp_path / "out")
    theirs = AutoTokenizer.from_pretrained(str(tmp_path / "out"))
    ids = Tokenizer.load(tmp_path / "out").encode("the cat").tolist()
    assert theirs("the cat")["input_ids"] == [2, *ids, 3]
    assert (theirs.cls_token, theirs.mask_token, theirs.pad_token_id) == ("[CLS]", "[MASK]", 0)


def test_two_files_of_byte_pairs_give_the_tokenizer_they_came_from(texts, tmp_path):
    old = train_tokenizer(texts, TokenizerConfig(vocab_size=400, pre_tokenizer="gpt2"))
    model = old.form["model"]
    (tmp_path / "encoder.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (tmp_path / "vocab.bpe").write_text("\n".join(lines) + "\n", encoding="utf-8")
    new = import_vocabulary(tmp_path)
    assert new.names() == old.names()
    assert new.eot_id == old.eot_id
    for text in texts:
        without_digits = "".join(character for character in text if not character.isdigit())
        assert new.encode(without_digits).tolist() == old.encode(without_digits).tolist()


def test_what_is_no_vocabulary_is_refused_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="holds no vocabulary"):
        import_vocabulary(tmp_path)
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1}')
    with pytest.raises(ModelError, match=r"needs merges\.txt beside it"):
        import_vocabulary(tmp_path)
    (tmp_path / "merges.txt").write_text("a c\n")
    with pytest.raises(ModelError, match="do not belong together"):
        import_vocabulary(tmp_path / "vocab.json")


def test_gpt2s_files_give_the_ids_of_gpt2(tmp_path):
    from transformers import GPT2Tokenizer

    folder = published("gpt2_bpe")
    tokenizer = import_vocabulary(folder)
    theirs = GPT2Tokenizer(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
    assert (tokenizer.vocab_size, tokenizer.eot_id) == (50257, 50256)
    assert tokenizer.encode("Hello world").tolist() == [15496, 995]
    for text in TEXTS:
        assert tokenizer.encode(text).tolist() == theirs(text)["input_ids"]
        assert tokenizer.decode(tokenizer.encode(text).tolist()) == text


def test_gpt2s_ids_are_tiktokens_ranks():
    ranks = json.loads((published("tiktoken_ranks") / "gpt2.json").read_text("utf-8"))["bpe_ranks"].split("\n")
    tokenizer = import_vocabulary(published("gpt2_bpe"))
    seen = 0
    for line in filter(None, ranks):
        _, first, *tokens = line.split(" ")
        for id, token in enumerate(tokens, int(first)):
            assert tokenizer.bytes_of(id) == base64.b64decode(token)
            seen += 1
    assert seen == 50256


@pytest.mark.parametrize("name", ["vocab.txt", "vocab_small.txt"])
def test_a_published_chinese_vocabulary_gives_the_ids_of_bert(name):
    from transformers import BertTokenizer

    path = published("zh_bert_vocab") / name
    tokenizer, theirs = import_vocabulary(path, lowercase=True), BertTokenizer(str(path), do_lower_case=True)
    assert tokenizer.vocab_size == len(path.read_bytes().splitlines())
    for text in TEXTS:
        assert tokenizer.encode(text).tolist() == theirs(text, add_special_tokens=False)["input_ids"]
    if name == "vocab.txt":
        assert tokenizer.decode(tokenizer.encode(TEXTS[1]).tolist()) == TEXTS[1]


def test_a_published_text_comes_back_through_gpt2():
    text = (published("minbpe") / "taylorswift.txt").read_text("utf-8")
    tokenizer = import_vocabulary(published("gpt2_bpe"))
    ids = tokenizer.encode(text).tolist()
    assert tokenizer.decode(ids) == text
    assert len(ids) < len(text) / 3


def _saved(merges: list[tuple[str, str]], words: dict[tuple[str, ...], int]) -> list[int]:
    """How often each merge is made, in turn."""
    state, saved = [(list(word), count) for word, count in words.items()], []
    for pair in merges:
        saved.append(sum(count * sum(each == pair for each in neighbours(word)) for word, count in state))
        state = [(join(word, pair), count) if pair[0] in word else (word, count) for word, count in state]
    return saved


def test_our_byte_pairs_are_those_of_a_published_course_up_to_ties_and_digits():
    """Theirs takes the greatest of equal pairs, ours the first; ours never joins a digit to a space."""
    folder = published("cs336_bpe_fixtures") / "fixtures"
    text = (folder / "corpus.en").read_text("utf-8")
    theirs = [tuple(line.split(" ")) for line in (folder / "train-bpe-reference-merges.txt").read_text("utf-8").split("\n") if line]
    trained = train_tokenizer([text], TokenizerConfig(vocab_size=500, pre_tokenizer="gpt2", min_frequency=1))
    ours = [tuple(pair) for pair in trained.form["model"]["merges"]]
    assert len(ours) == len(theirs) == 243
    assert len(set(ours) & set(theirs)) >= 238
    alone = [pair for pair in {*ours} ^ {*theirs} if not any(character.isdigit() for character in "".join(pair))]
    assert all(max(merges.index(pair) for merges in (ours, theirs) if pair in merges) > 200 for pair in alone)
    words = Counter(tuple(word) for word, _ in ByteLevel(add_prefix_space=False).pre_tokenize_str(text) if not any(map(str.isdigit, word)))
    counts = [_saved([pair for pair in merges if not any(map(str.isdigit, "".join(pair)))], dict(words)) for merges in (ours, theirs)]
    assert all(abs(a - b) <= 2 for a, b in zip(*counts, strict=False))
