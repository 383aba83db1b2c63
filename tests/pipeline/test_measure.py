import pytest

from hanmo.base.errors import DataError, UsageError
from hanmo.model.ngram import Uniform
from hanmo.model.store import save_model
from hanmo.pipeline.measure import MeasureOptions, measure, read_documents
from hanmo.tokenizer.load import Tokenizer


def test_a_model_is_measured_on_a_split_and_an_empty_or_a_missing_one_is_told(begun, tmp_path):
    size = Tokenizer.load(begun.tokenizer).vocab_size
    save_model(Uniform(size), tmp_path / "uniform", tokenizer_folder=begun.tokenizer)
    options = MeasureOptions(data=str(begun.data), split="validation")
    found = measure(tmp_path / "uniform", read_documents(options), options)
    assert found.perplexity == pytest.approx(size)
    (tmp_path / "note.txt").write_text("A note.")
    with pytest.raises(UsageError, match="--split test needs a data set folder"):
        read_documents(MeasureOptions(data=str(tmp_path / "note.txt"), split="test"))
    for parquet in begun.data.glob("documents/test-*"):
        parquet.rename(tmp_path / parquet.name)
    try:
        with pytest.raises(DataError, match="has no test documents"):
            list(read_documents(MeasureOptions(data=str(begun.data))))
    finally:
        for parquet in tmp_path.glob("test-*"):
            parquet.rename(begun.data / "documents" / parquet.name)
