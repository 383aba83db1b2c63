import numpy as np
from tests.batches.conftest import documents

from hanmo.base.storage import sha256
from hanmo.batches import counts as module
from hanmo.batches.counts import counts_file, read_counts, write_counts

HASH = "0123456789abcdef" * 4


def test_every_document_has_its_tokens_under_the_tokenizers_hash(make_store, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 2)
    stores = [make_store([3, 0, 7]), make_store([5])]
    path = write_counts(tmp_path, stores[:1], HASH)
    assert path == tmp_path / "tokens" / f"{HASH[:16]}.parquet" == counts_file(tmp_path, HASH)
    assert read_counts(tmp_path, HASH) == {"d0": 3, "d1": 0, "d2": 7}
    assert sum(read_counts(tmp_path, HASH).values()) == int(np.sum(np.diff(stores[0].offsets) - 1))


def test_the_same_stores_give_the_same_bytes_and_leave_the_rest_of_the_data_set_alone(make_store, tmp_path):
    (tmp_path / "receipts.parquet").write_bytes(b"not touched")
    store = make_store([len(documents([4])[0].text), 2])
    first = sha256(write_counts(tmp_path, [store], HASH))
    assert sha256(write_counts(tmp_path, [store], HASH)) == first
    assert (tmp_path / "receipts.parquet").read_bytes() == b"not touched"


def test_another_tokenizer_has_counted_nothing(make_store, tmp_path):
    write_counts(tmp_path, [make_store([3])], HASH)
    assert read_counts(tmp_path, "f" * 64) == {}
    assert read_counts(tmp_path, HASH[:16] + "f" * 48) == {}
