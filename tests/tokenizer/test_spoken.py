"""A token that is only spelled is text, whatever the model holds under its name."""

from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, models, pre_tokenizers

from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.spoken import guarded, plain, signed, speaking

LETTERS = ["<unk>", "</s>", "\u2581", "s", ">", "a"]
"""No '/' and no '<' among the pieces, as T5 has it."""


def unigram() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.Unigram([(piece, 0.0 if id < 2 else -3.0) for id, piece in enumerate(LETTERS)], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    made.add_special_tokens([AddedToken("</s>", normalized=False)])
    return made


def by_words(model: Any) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    made.add_special_tokens(["</s>"])
    return made


VOCABULARY = {piece: id for id, piece in enumerate(["[UNK]", "</s>", "<", "/", "s", ">", "</", "s>", "a"])}
MERGES = [("<", "/"), ("s", ">"), ("</", "s>")]
MODELS = {
    "words": lambda: models.WordLevel(VOCABULARY, unk_token="[UNK]"),
    "word pieces": lambda: models.WordPiece(VOCABULARY, unk_token="[UNK]"),
    "pairs": lambda: models.BPE(VOCABULARY, MERGES),
    "pairs that need no merges": lambda: models.BPE(VOCABULARY, [], ignore_merges=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_no_text_spells_a_special_token(name: str) -> None:
    tokenizer = Tokenizer(by_words(MODELS[name]()), {})
    for text in ("a </s> a", "</s>"):
        assert 1 not in tokenizer.encode(text).tolist() and 1 not in tokenizer.encode_spans([text])[0][0].tolist()
    assert tokenizer.names()[1] == "</s>" and tokenizer.special() == {"</s>": 1}


def test_no_text_spells_a_special_piece_of_a_unigram() -> None:
    tokenizer = Tokenizer(unigram(), {})
    assert tokenizer.encode("a</s>").tolist() == [2, 5, 0, 3, 4]


def test_a_token_is_meant_under_its_sign_and_has_its_own_id() -> None:
    meant, made = guarded(unigram(), ["</s>"]), f"a</s>{signed('</s>')}a"
    ids, starts = meant.encode(made)
    assert ids.tolist() == [2, 5, 0, 3, 4, 1, 2, 5]
    assert starts.tolist()[5] == made.index(signed("</s>"))


def test_ids_with_gaps_between_them_are_kept() -> None:
    backend = by_words(models.BPE({"a": 0, "b": 7}, []))
    backend.add_tokens([AddedToken("<c>", normalized=False)])
    known = backend.get_vocab()
    for copy in (speaking(backend), guarded(backend, ["</s>", "<c>"])):
        assert copy.encode("a b")[0].tolist() == [0, 7]
    assert speaking(backend).encode("<c></s>")[0].tolist() == [known["<c>"], known["</s>"]]
    assert guarded(backend, ["</s>"]).encode(f"<c>{signed('</s>')}")[0].tolist() == [known["<c>"], known["</s>"]]


def test_a_tokenizer_whose_model_spells_none_is_taken_as_it_is() -> None:
    backend = by_words(models.BPE({"a": 0}, []))
    assert plain(backend, ["</s>"]).backend is backend
