"""Two models on the same text, paired."""

import json

import numpy as np
import pytest

from hanmo.base.errors import DataError
from hanmo.base.records import Document
from hanmo.evaluate.compare import as_row, compare_all
from hanmo.evaluate.measurement import difference as difference_of
from hanmo.evaluate.perplexity import evaluate
from hanmo.model.config import NgramConfig
from hanmo.model.ngram import Ngram, Uniform

EOT, VOCAB = 256, 257
WORDS = ["stone", "bridge", "water", "slowly", "under", "moves", "a", "the", "old", "and", "河", "水", "慢慢", "流"]


def by_byte(text):
    return np.frombuffer(text.encode(), np.uint8).astype(np.int32)


def texts(seed, count, length=40):
    rng = np.random.default_rng(seed)
    return [Document(id=f"{seed}-{i}", text=" ".join(rng.choice(WORDS, length))) for i in range(count)]


def learned(order):
    rows = [np.concatenate([[EOT], by_byte(document.text)]) for document in texts(1, 20)]
    return Ngram.fit_sequences(rows, NgramConfig(vocab_size=VOCAB, order=order))


def compare(first, second):
    return difference_of(first.measurement, second.measurement)


def measured(model, documents, **options):
    return evaluate(model, documents, by_byte, EOT, **options)


def test_the_better_model_has_a_negative_difference_apart_from_zero():
    documents = texts(2, 12)
    better, worse = measured(learned(4), documents), measured(learned(2), documents)
    difference = compare(better, worse)
    assert difference.value == pytest.approx(better.bits_per_byte - worse.bits_per_byte)
    assert difference.interval[0] < difference.value < difference.interval[1] < 0
    assert difference.p_value < 0.01
    assert as_row(difference)["apart"]


def test_turning_the_pair_around_turns_the_difference_around():
    documents = texts(2, 12)
    first, second = measured(learned(3), documents), measured(learned(2), documents)
    there, back = compare(first, second), compare(second, first)
    assert there.value == -back.value
    assert there.p_value == back.p_value
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-3)


def test_a_model_is_no_better_than_itself():
    found = measured(learned(2), texts(2, 12))
    difference = compare(found, found)
    assert (difference.value, difference.interval, difference.p_value) == (0, (0, 0), 1)
    assert not as_row(difference)["apart"]


def test_few_long_documents_are_compared_by_passage():
    documents = texts(2, 2, length=3000)
    first, second = measured(learned(4), documents), measured(learned(3), documents)
    assert first.unit == "passage"
    assert compare(first, second).interval[1] < 0


def test_other_documents_and_too_little_text_are_told():
    first = measured(learned(2), texts(2, 6))
    with pytest.raises(DataError, match="same documents"):
        compare(first, measured(learned(2), texts(3, 6)))
    with pytest.raises(DataError, match="same documents"):
        compare(first, measured(learned(2), texts(2, 6), unit="passage"))
    short = measured(learned(2), texts(2, 1, length=3))
    with pytest.raises(DataError, match="at least 5"):
        compare(short, short)


def test_a_table_of_models_holds_each_and_its_distance_from_the_reference():
    models = {"uniform": Uniform(VOCAB), "bigram": learned(2), "best": learned(4)}
    table = json.loads(json.dumps(compare_all({name: measured(model, texts(2, 8)) for name, model in models.items()}, reference="best")))
    assert list(table["models"]) == list(models)
    assert list(table["differences"]) == ["uniform", "bigram"]
    assert (table["documents"], table["unit"], table["units"], table["reference"]) == (8, "document", 8, "best")
    for name, row in table["differences"].items():
        gap = table["models"]["best"]["bits_per_byte"] - table["models"][name]["bits_per_byte"]
        assert row["difference"] == pytest.approx(gap)
        assert row["apart"]
        assert row["p_value"] <= row["adjusted_p_value"] <= 0.05
