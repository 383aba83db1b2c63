"""Extended tokenizers: old ids stay, texts come back, other tools read the same ids, tokens are saved."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, models

from hanmo.base.errors import DataError, ModelError
from hanmo.tokenizer.extend import extend
from hanmo.tokenizer.load import EOT, Tokenizer

DOMAIN = [
    "The patient with cardiomyopathy had arrhythmia. 心肌梗死患者的心肌病变很重。" * 3,
    "Cardiomyopathy of the patient: 心肌病变，心肌梗死。\n" * 3,
]
WORDS = ["cardiomyopathy", "心肌梗死", "patient"]
LOSSLESS = ["gpt2", "gpt4", "deepseek", "unigram", "character"]
EVERY = [*LOSSLESS, "closed", "wordpiece", "word"]


@pytest.fixture(scope="session")
def extended(trained) -> dict[str, Tokenizer]:
    return {name: extend(trained[name], words=WORDS, texts=DOMAIN, add=60).tokenizer for name in EVERY}


@pytest.mark.parametrize("name", EVERY)
def test_old_ids_stay_and_the_domain_costs_less(trained, extended, name):
    old, new = trained[name], extended[name]
    assert new.names()[: old.vocab_size] == old.names()
    assert old.vocab_size < new.vocab_size <= old.vocab_size + 60
    assert (new.eot_id, new.unk_id, new.kind) == (old.eot_id, old.unk_id, old.kind)

    def cost(tokenizer: Tokenizer) -> int:
        ids = np.concatenate([tokenizer.encode(text) for text in DOMAIN])
        return len(ids) + (0 if tokenizer.unk_id is None else 2 * int((ids == tokenizer.unk_id).sum()))

    assert cost(new) < cost(old)


@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(st.one_of(st.sampled_from([*WORDS, " cardio", "心肌", EOT, "<0xE6>", " ", "\n", "😀"]), st.text(max_size=4))).map("".join)
)
def test_decoding_still_gives_any_text_back(extended, name, text):
    ids = extended[name].encode(text).tolist()
    assert extended[name].decode(ids) == text


@pytest.mark.parametrize("name", ["gpt2", "deepseek", "unigram"])
def test_words_asked_for_become_one_token_each(trained, name):
    extension = extend(trained[name], words=[*WORDS, "COVID-19"])
    for form in (" cardiomyopathy", "心肌梗死", " patient"):
        assert len(extension.tokenizer.encode(form)) == 1
    assert extension.not_single == ["COVID-19"]
    assert " cardiomyopathy" in extension.added


@pytest.mark.parametrize("name", EVERY)
def test_transformers_gives_the_same_ids_and_the_folder_loads_again(extended, name, tmp_path):
    from transformers import AutoTokenizer

    extended[name].save(tmp_path)
    theirs, ours = AutoTokenizer.from_pretrained(str(tmp_path)), Tokenizer.load(tmp_path)
    assert len(theirs) == extended[name].vocab_size
    for text in (*DOMAIN, "the cat 渔船 12"):
        ids = extended[name].encode(text).tolist()
        assert theirs(text)["input_ids"] == ids == ours.encode(text).tolist()
        assert theirs.decode(ids) == extended[name].decode(ids)
    assert json.loads((tmp_path / "tokenizer_training.json").read_text())["words"] == 3


@pytest.mark.parametrize("name", ["deepseek", "unigram", "wordpiece"])
def test_texts_in_any_order_give_the_same_extension(trained, name):
    one, other = (extend(trained[name], texts=texts, add=9).tokenizer for texts in (DOMAIN, DOMAIN[::-1]))
    assert one.fingerprint == other.fingerprint


def test_an_extended_tokenizer_is_extended_again(extended):
    again = extend(extended["deepseek"], words=["neurology"]).tokenizer
    assert again.names()[: extended["deepseek"].vocab_size] == extended["deepseek"].names()
    assert len(again.encode(" neurology")) == 1


def test_add_is_the_most_that_words_may_take(trained):
    assert extend(trained["deepseek"], words=WORDS, add=9).tokenizer.vocab_size <= trained["deepseek"].vocab_size + 9


@pytest.mark.parametrize(
    ("options", "said"), [({}, "nothing to extend"), ({"words": ["渔船"]}, "no token could be added"), ({"add": 5}, "no token could")]
)
def test_nothing_to_add_is_an_error(trained, options, said):
    with pytest.raises(DataError, match=said):
        extend(trained["deepseek"], **options)


def _outside(model, tmp_path) -> Tokenizer:
    """A tokenizer as some models have it: its special token numbered behind the vocabulary."""
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<|end|>", special=True, normalized=False)])
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|end|>"}')
    return Tokenizer.load(tmp_path)


def test_a_special_token_behind_the_vocabulary_keeps_its_id(tmp_path):
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    old = _outside(models.BPE({character: id for id, character in enumerate(alphabet)}, []), tmp_path)
    assert old.eot_id == 256
    extend(old, words=["lamp"]).tokenizer.save(tmp_path / "new")
    new = Tokenizer.load(tmp_path / "new")
    assert (new.eot_id, len(new.encode(" lamp")), new.decode(new.encode("a lamp").tolist())) == (256, 1, "a lamp")
    assert new.encode("<|end|>").tolist() != [256]


def test_a_tokenizer_whose_ids_would_move_is_refused(tmp_path):
    old = _outside(models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0), tmp_path)
    with pytest.raises(ModelError, match="behind its vocabulary"):
        extend(old, words=["ab"])
    whole = _outside(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"), tmp_path)
    with pytest.raises(ModelError, match="cannot be extended"):
        extend(whole, words=["ab"])
