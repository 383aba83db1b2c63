"""Laws of text and ids; parity with transformers; folders that cannot be read."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import models

from hanmo.base.errors import DataError, ModelError
from hanmo.tokenizer import load
from hanmo.tokenizer.load import EOT, StreamDecoder, Tokenizer
from hanmo.tokenizer.spelling import byte_characters

LOSSLESS = ["gpt2", "gpt2-digits", "gpt4", "deepseek", "character", "unigram"]
EVERY = [*LOSSLESS, "closed", "wordpiece", "word"]
PARTS = st.sampled_from([EOT, "<unk>", "<0x41>", " ", "\n", "\r\n", "渔船", "，", "。", "the", " the", "1987", "'t", "😀", "\u3000", "\0"])
ANY_TEXT = st.lists(st.one_of(PARTS, st.text(max_size=6)), max_size=8).map("".join)
LAW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", LOSSLESS)
@LAW
@given(text=ANY_TEXT)
@example(text=f"{EOT} is written out here: {EOT}")
def test_decoding_gives_any_text_back(trained, name, text):
    tokenizer = trained[name]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids.tolist()) == text
    assert tokenizer.eot_id not in ids
    assert ids.dtype == np.int32


@pytest.mark.parametrize("name", EVERY)
@LAW
@given(text=ANY_TEXT)
def test_streamed_text_is_the_whole_text_in_whole_characters(trained, name, text):
    tokenizer = trained[name]
    ids = tokenizer.encode(text).tolist()
    decoder = StreamDecoder(tokenizer)
    pushed = [*(decoder.push(id) for id in ids), decoder.finish()]
    assert "".join(pushed) == tokenizer.decode(ids)
    if "\N{REPLACEMENT CHARACTER}" not in tokenizer.decode(ids):
        assert not any("\N{REPLACEMENT CHARACTER}" in part for part in pushed)


@pytest.mark.parametrize("name", EVERY)
@LAW
@given(data=st.data())
def test_streaming_any_ids_equals_decoding_them(trained, name, data):
    tokenizer = trained[name]
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size + 2), max_size=20))
    decoder = StreamDecoder(tokenizer)
    assert "".join(decoder.push(id) for id in ids) + decoder.finish() == tokenizer.decode(ids)


def test_an_emoji_split_over_tokens_comes_out_once_and_whole(trained):
    tokenizer = trained["deepseek"]
    ids = tokenizer.encode("渔船😀").tolist()
    decoder = StreamDecoder(tokenizer)
    shown = [text for text in (decoder.push(id) for id in ids) if text]
    assert shown[-1] == "😀"
    assert len(ids) > len(shown)
    assert decoder.finish() == ""


def test_a_character_never_completed_is_shown_as_broken_at_the_end(trained):
    tokenizer = trained["character"]
    decoder = StreamDecoder(tokenizer)
    for id in tokenizer.encode("😀").tolist()[:2]:
        assert decoder.push(id) == ""
    assert decoder.finish() == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("name", EVERY)
def test_batches_and_pieces_give_the_ids_of_each_text_alone(trained, texts, name, monkeypatch):
    tokenizer = trained[name]
    alone = [tokenizer.encode(text).tolist() for text in texts]
    monkeypatch.setattr(load, "LONGEST_PIECE", 10)
    assert [ids.tolist() for ids in tokenizer.encode_batch(texts)] == alone
    assert tokenizer.encode_batch([]) == []


@pytest.mark.parametrize("name", ["deepseek", "character"])
def test_special_tokens_give_no_text_and_text_gives_no_special_token(trained, name):
    tokenizer = trained[name]
    assert tokenizer.decode([tokenizer.eot_id, *tokenizer.encode("the cat"), tokenizer.eot_id]) == "the cat"
    assert tokenizer.unk_id is None


def test_a_closed_vocabulary_says_what_it_could_not_write(trained):
    tokenizer = trained["closed"]
    ids = tokenizer.encode("the 😀").tolist()
    assert ids.count(tokenizer.unk_id) == 1
    assert tokenizer.decode(ids) == "the <unk>"


def test_text_that_is_no_unicode_is_refused_in_one_line(trained):
    with pytest.raises(DataError, match="not valid Unicode"):
        trained["deepseek"].encode("broken \ud800")


def test_bytes_of_all_tokens_are_those_of_the_library(trained):
    assert len(set(byte_characters())) == 256
    tokenizer = trained["gpt4"]
    every = list(range(tokenizer.vocab_size))
    assert tokenizer.decode(every) == Tokenizer.decode(_through_library(tokenizer), every)


def _through_library(tokenizer: Tokenizer) -> Tokenizer:
    other = Tokenizer(tokenizer._backend, tokenizer._settings)
    other._bytes = None
    return other


@pytest.mark.parametrize("name", EVERY)
def test_saved_and_loaded_is_the_same_tokenizer_in_the_same_bytes(trained, texts, name, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    trained[name].save(first)
    loaded = Tokenizer.load(first)
    loaded.save(second)
    for file in ("tokenizer.json", "tokenizer_config.json", "vocabulary.tsv"):
        assert (first / file).read_bytes() == (second / file).read_bytes()
    assert loaded.encode(texts[2]).tolist() == trained[name].encode(texts[2]).tolist()
    assert loaded.fingerprint == trained[name].fingerprint
    assert (loaded.kind, loaded.eot_id, loaded.unk_id) == (trained[name].kind, trained[name].eot_id, trained[name].unk_id)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("model_type", ["", "gpt2", "llama", "qwen3"])
def test_transformers_gives_the_same_ids_and_text(trained, texts, name, model_type, tmp_path):
    from transformers import AutoTokenizer

    trained[name].save(tmp_path)
    if model_type:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    for text in [*texts, "", "  two  spaces \t", "渔船😀𠀀 déjà vu 12345 it's"]:
        ids = trained[name].encode(text).tolist()
        assert theirs(text)["input_ids"] == ids
        assert theirs.decode(ids) == trained[name].decode(ids)
    assert len(theirs) == trained[name].vocab_size
    assert theirs.eos_token_id == theirs.bos_token_id == trained[name].eot_id
    plain = AutoTokenizer.from_pretrained(str(tmp_path), split_special_tokens=True)
    assert plain(f"a{EOT}b")["input_ids"] == trained[name].encode(f"a{EOT}b").tolist()


def test_the_vocabulary_lists_every_token_by_frequency(trained, texts, tmp_path):
    tokenizer = trained["deepseek"]
    rows = tokenizer.vocabulary()
    assert sorted(id for _, id, _ in rows) == list(range(tokenizer.vocab_size))
    counts = [count for _, _, count in rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(len(tokenizer.encode(text)) for text in texts)
    tokenizer.save(tmp_path)
    lines = (tmp_path / "vocabulary.tsv").read_text("utf-8").splitlines()
    assert lines[0] == "token\tid\tcount"
    assert lines[1:] == [f"{token}\t{id}\t{count}" for token, id, count in rows]
    assert Tokenizer.load(tmp_path).vocabulary() == rows


def test_tokens_for_the_eye_hide_nothing(trained):
    tokenizer = trained["deepseek"]
    shown = {token for token, _, _ in tokenizer.vocabulary()}
    assert {"\\n", "\\t", "\\\\", "\\xe5", "\\x00", EOT, "the"} <= shown
    assert len(shown) == tokenizer.vocab_size


def test_a_broken_vocabulary_file_is_named_with_its_line(trained, tmp_path):
    trained["deepseek"].save(tmp_path)
    (tmp_path / "vocabulary.tsv").write_text("token\tid\tcount\nx\tone\t2\n")
    with pytest.raises(ModelError, match="line 2"):
        Tokenizer.load(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused_in_one_line(tmp_path):
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ModelError, match="cannot be read"):
        Tokenizer.load(tmp_path)


def _foreign(tmp_path, settings: dict[str, object]) -> Tokenizer:
    """A tokenizer as others make it: word pieces, spaces put back by rule."""
    pieces = ["[UNK]", "[CLS]", "the", "cat", "##s", "sat", ".", "do", "n't"]
    backend = tokenizers.Tokenizer(models.WordPiece({piece: id for id, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.decoder = tokenizers.decoders.WordPiece()
    backend.add_special_tokens(["[CLS]"])
    backend.enable_truncation(2)
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    return Tokenizer.load(tmp_path)


def test_a_tokenizer_from_elsewhere_works_and_is_not_cut_short(tmp_path):
    tokenizer = _foreign(tmp_path, {"bos_token": {"content": "[CLS]"}})
    ids = tokenizer.encode("the cats sat .").tolist()
    assert ids == [2, 3, 4, 5, 6]
    assert (tokenizer.kind, tokenizer.eot_id, tokenizer.unk_id) == ("wordpiece", 1, 0)
    decoder = StreamDecoder(tokenizer)
    assert "".join(decoder.push(id) for id in ids) + decoder.finish() == tokenizer.decode(ids) == "the cats sat."
    assert tokenizer.vocabulary()[0] == ("[UNK]", 0, 0)
    assert tokenizer.bytes_of(2) == b"the"


def test_a_tokenizer_that_names_no_end_is_refused_when_one_is_needed(tmp_path):
    with pytest.raises(ModelError, match="bos_token nor an eos_token"):
        _ = _foreign(tmp_path, {"eos_token": None}).eot_id


@pytest.mark.parametrize("line", ["<unk>\t-1\t3", "a\t0\t99999999999999999999", "a\t0", "a\t99999\t1"])
def test_a_table_of_counts_that_lies_is_one_line(trained, tmp_path, line):
    trained["gpt2"].save(tmp_path)
    (tmp_path / "vocabulary.tsv").write_text(f"token\tid\tcount\n{line}\n", "utf-8")
    with pytest.raises(ModelError, match=r"line 2: .* should be token, id below"):
        Tokenizer.load(tmp_path)
    (tmp_path / "vocabulary.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="cannot be read as text"):
        Tokenizer.load(tmp_path)


def test_ids_and_merges_that_make_the_library_panic_are_one_line(tmp_path):
    backend = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    form = json.loads(backend.to_str())
    form["model"]["continuing_subword_prefix"] = "####"
    (tmp_path / "tokenizer.json").write_text(json.dumps(form))
    with pytest.raises(ModelError, match="cannot be read as a tokenizer"):
        Tokenizer.load(tmp_path)
    form["model"] |= {"continuing_subword_prefix": None, "vocab": {"a": 0, "b": 1, "ab": (1 << 31)}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(form))
    with pytest.raises(ModelError, match="id 2147483648"):
        Tokenizer.load(tmp_path)


def test_an_absurd_id_is_refused_before_the_library_lists_all_numbers_up_to_it(tmp_path, monkeypatch):
    model = {"type": "WordLevel", "vocab": {"a": 0, "b": load.LARGEST_ID}, "unk_token": "a"}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    monkeypatch.setattr(load.json, "loads", lambda text: pytest.fail("the form was made"))
    with pytest.raises(ModelError, match=f"the id {load.LARGEST_ID}: no vocabulary comes near it"):
        Tokenizer.load(tmp_path)
