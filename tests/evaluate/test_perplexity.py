"""Bits per byte and perplexity, by hand and by law."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import DataError, ModelError
from hanmo.base.records import Document
from hanmo.evaluate import perplexity
from hanmo.evaluate.perplexity import evaluate, passages
from hanmo.model.config import NgramConfig
from hanmo.model.ngram import Ngram, Uniform

SENTENCES = ["The river rises in the hills.", "春天来了，河水涨了。", "Nobody on the bridge was surprised, and nobody hurried."]
EOT = 256


def documents(*texts):
    return [Document(id=str(number), text=text) for number, text in enumerate(texts)]


def by_byte(text):
    return np.frombuffer(text.encode(), np.uint8).astype(np.int32)


def by_pair(text):
    """A tokenizer of two-byte pieces, to have a second one."""
    data = by_byte(text)
    data = np.append(data, [0] * (data.size % 2))
    return data[::2] * 256 + data[1::2]


def learned(texts, encode, vocab_size):
    rows = [np.concatenate([[vocab_size - 1], encode(text)]) for text in texts]
    return Ngram.fit_sequences(rows, NgramConfig(vocab_size=vocab_size, order=3))


def test_a_uniform_model_over_bytes_takes_its_known_bits():
    found = evaluate(Uniform(257), documents(*SENTENCES * 4), by_byte, EOT)
    assert found.bits_per_byte == pytest.approx(math.log2(257))
    assert found.perplexity == pytest.approx(257)
    assert found.bytes == found.tokens == 4 * sum(len(text.encode()) for text in SENTENCES)
    assert found.interval == pytest.approx((math.log2(257),) * 2)
    assert (found.documents, found.unit, found.unit_bytes.size) == (12, "document", 12)


def test_numbers_follow_their_definitions():
    model, texts = learned(SENTENCES, by_byte, 257), [*SENTENCES * 2, ""]
    found = evaluate(model, documents(*texts), by_byte, EOT)
    nats = -sum(model.score([np.concatenate([[EOT], by_byte(text)])])[0].sum() for text in texts)
    size = sum(len(text.encode()) for text in texts)
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / size)
    assert found.perplexity == pytest.approx(math.exp(nats / size))
    assert found.words == 2 * (6 + 6 + 9)
    assert found.word_perplexity == pytest.approx(math.exp(nats / found.words))
    assert found.documents == 6
    assert found.interval is not None
    assert found.interval[0] < found.bits_per_byte < found.interval[1]


def test_documents_in_groups_give_the_same(monkeypatch):
    model, texts = learned(SENTENCES, by_byte, 257), documents(*SENTENCES * 4)
    whole = evaluate(model, texts, by_byte, EOT)
    monkeypatch.setattr(perplexity, "_CHARACTERS_AT_ONCE", 10)
    assert evaluate(model, iter(texts), by_byte, EOT).summary() == whole.summary()


def test_few_documents_are_resampled_by_passage_and_it_is_said():
    texts = [" ".join(SENTENCES * 30), " ".join(SENTENCES[::-1] * 20)]
    found = evaluate(learned(SENTENCES, by_byte, 257), documents(*texts), by_byte, EOT)
    assert found.unit == "passage"
    assert "passages of about" in found.definition
    assert found.unit_bytes.size >= 15
    assert found.unit_bytes.sum() == pytest.approx(found.bytes)
    assert found.unit_bits.sum() == pytest.approx(found.document_bits.sum())


def test_a_short_text_has_no_interval_and_says_why():
    found = evaluate(Uniform(257), documents("Too short."), by_byte, EOT)
    assert found.interval is None
    assert "fewer than 5 units" in found.definition
    assert found.summary()["interval"] is None


def test_unknown_words_are_counted_and_told():
    found = evaluate(
        Uniform(257), documents("a b c a"), lambda text: np.array([ord(c) for c in text if c != " "]), EOT, unknown_id=ord("a")
    )
    assert found.unknown_tokens == 2
    assert "too low" in found.definition
    assert "too low" not in evaluate(Uniform(257), documents("a b"), by_byte, EOT).definition


def test_no_text_and_broken_models_are_told():
    with pytest.raises(DataError, match="any text"):
        evaluate(Uniform(257), documents("", ""), by_byte, EOT)
    with pytest.raises(DataError, match="any text"):
        evaluate(Uniform(257), documents("a", "b"), lambda text: np.zeros(0, np.int32), EOT)

    class Broken(Uniform):
        def score(self, sequences, stride=None):
            return [np.full(len(ids) - 1, np.nan) for ids in sequences]

    with pytest.raises(ModelError, match="document '0'"):
        evaluate(Broken(257), documents("text"), by_byte, EOT)


def test_an_impossible_text_has_no_perplexity_that_a_number_could_hold():
    class Certain(Uniform):
        def score(self, sequences, stride=None):
            return [np.full(len(ids) - 1, -1e6) for ids in sequences]

    found = evaluate(Certain(257), documents("text"), by_byte, EOT)
    assert found.perplexity is None
    assert found.word_perplexity is None


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 20)), min_size=1, max_size=60), st.integers(1, 40))
def test_passages_lose_no_bit_and_no_byte(tokens, wanted):
    lengths, bits = (np.array(column, float) for column in zip(*tokens, strict=True))
    size = max(1, int(lengths.sum()))
    found, sizes = passages(bits, lengths, size, wanted)
    assert found.sum() == pytest.approx(bits.sum())
    assert sizes.sum() == pytest.approx(size)
    assert (found >= -1e-9).all()
    np.testing.assert_allclose(sizes, sizes[0])


def test_a_document_without_tokens_takes_no_bits():
    found, sizes = passages(np.zeros(0), np.zeros(0), 10, 5)
    assert found.tolist() == [0, 0]
    assert sizes.tolist() == [5, 5]


def test_a_token_across_a_border_is_shared_by_its_bytes():
    found, sizes = passages(np.array([4.0, 8.0, 2.0]), np.array([3.0, 4.0, 1.0]), 8, 4)
    np.testing.assert_allclose(found, [4 + 8 / 4, 8 * 3 / 4 + 2])
    np.testing.assert_allclose(sizes, [4, 4])


def test_tokenizers_share_their_passages():
    texts = documents(" ".join(SENTENCES * 30))
    bytewise = evaluate(Uniform(257), texts, by_byte, EOT)
    pairwise = evaluate(Uniform(65537), texts, by_pair, 65536, None, "passage", lambda ids: np.full(len(ids), 2))
    np.testing.assert_array_equal(bytewise.unit_bytes, pairwise.unit_bytes)
