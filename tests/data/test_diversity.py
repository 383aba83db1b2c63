from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hanmo.data.diversity as diversity_module
from hanmo.data.diversity import diversity, measure_diversity, novelty


def numbers(*documents: list[int]) -> list[np.ndarray]:
    return [np.array(document, dtype=np.uint64) for document in documents]


def test_novelty_counts_what_earlier_documents_do_not_have() -> None:
    assert novelty(numbers([1, 2, 3], [1, 2, 4])) == {1: pytest.approx(1 / 3), 2: 0.5, 3: 1.0}
    assert novelty(numbers([1, 2, 3])) == {} and novelty([]) == {}


def test_ngrams_end_with_their_document() -> None:
    assert novelty(numbers([1], [2], [1, 2]))[2] == 1.0


def test_a_text_said_again_is_not_new_and_compresses_well() -> None:
    text = "那天早晨河面很安静，谁也没有提起昨夜的事情。" * 10
    found = measure_diversity([text, text])
    assert set(found.novelty.values()) == {0.0} and found.compression_ratio is not None and found.compression_ratio > 5


def test_the_ratio_of_types_is_one_of_windows_of_equal_size() -> None:
    found = measure_diversity([" ".join(f"w{i % 500}" for i in range(3000))])
    assert found.type_token_ratio == 0.5 and measure_diversity(["few words"]).type_token_ratio is None
    assert measure_diversity([]).compression_ratio is None


def test_the_sample_is_bounded_and_does_not_depend_on_how_documents_lie_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversity_module, "SAMPLE_CHARACTERS", 200)
    texts = [f"第{i}天，我们沿着河岸慢慢走回家。" for i in range(50)]
    for name, files in (("one", [texts]), ("two", [texts[:7], texts[7:]])):
        (tmp_path / name).mkdir()
        for number, part in enumerate(files):
            pq.write_table(pa.table({"text": part}), tmp_path / name / f"train-{number:05d}.parquet")
    assert diversity(tmp_path / "one") == diversity(tmp_path / "two")
    assert 0 < diversity(tmp_path / "one").documents < 20
