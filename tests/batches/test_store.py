"""Stores are whole or absent, hold every document, and are not made twice."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from tests.batches.conftest import EOT, VOCAB, documents, encode_batch

from hanmo.base.errors import DataError, StorageError
from hanmo.base.records import Document
from hanmo.batches import encode as module
from hanmo.batches.store import FILES, TokenStore, id_type

LENGTHS = [3, 0, 7, 1, 12]


def build(folder: Path, items, encode=encode_batch, vocab=VOCAB, **options) -> TokenStore:
    return TokenStore.build(folder, iter(items), encode, EOT, vocab, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_every_document_is_there_behind_its_end_of_text_token(tmp_path):
    items = documents(LENGTHS)
    store = build(tmp_path / "train", items)
    assert store.num_documents == 5
    assert store.num_tokens == sum(LENGTHS) + 5
    assert store.num_bytes == sum(len(item.text) for item in items)
    for i, item in enumerate(items):
        assert store.document(i).tolist() == [EOT, *encode_batch([item.text])[0]]
    assert store.bytes_of_documents.tolist() == [len(item.text) for item in items]
    assert list(store.document_ids()) == [item.id for item in items]
    assert store.ids.dtype == np.uint16
    store.check()


def test_groups_of_any_size_give_the_same_bytes(tmp_path, monkeypatch):
    build(tmp_path / "a", documents(LENGTHS * 5))
    monkeypatch.setattr(module, "GROUP_DOCUMENTS", 2)
    monkeypatch.setattr(module, "GROUP_CHARACTERS", 64)
    build(tmp_path / "b", documents(LENGTHS * 5))
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_large_vocabulary_takes_wider_ids(tmp_path):
    assert id_type(1 << 16) == np.dtype("<u2")
    assert id_type((1 << 16) + 1) == np.dtype("<u4")
    store = build(tmp_path / "train", documents([2]), lambda texts: [np.array([70_000, 1], np.int32) for _ in texts], vocab=80_000)
    assert store.document(0).tolist() == [EOT, 70_000, 1]


class Counting:
    """An encoder that knows how many texts it was given."""

    def __init__(self, plus: int = 0) -> None:
        self.texts, self.plus = 0, plus

    def __call__(self, texts):
        self.texts += len(texts)
        return [ids + self.plus for ids in encode_batch(texts)]


@pytest.mark.parametrize("options", [{}, {"tokenizer": "abc"}])
def test_the_same_documents_are_not_written_again(tmp_path, options):
    first = build(tmp_path / "train", documents(LENGTHS), **options)
    before = (first.folder / "ids.bin").stat()
    encode = Counting()
    second = build(tmp_path / "train", documents(LENGTHS), encode, **options)
    after = (second.folder / "ids.bin").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert second.fingerprint == first.fingerprint
    assert encode.texts == (0 if options else 5)
    assert not list(tmp_path.glob(".train.encoding"))


def test_only_new_documents_are_encoded_when_the_tokenizer_is_known(tmp_path):
    build(tmp_path / "train", documents(LENGTHS), tokenizer="abc")
    encode = Counting()
    store = build(tmp_path / "train", documents([*LENGTHS, 4]), encode, tokenizer="abc")
    assert encode.texts == 1
    assert store.num_documents == 6
    assert content(store.folder) == content(build(tmp_path / "other", documents([*LENGTHS, 4]), tokenizer="abc").folder)


def test_fewer_documents_make_a_new_store(tmp_path):
    build(tmp_path / "train", documents(LENGTHS))
    assert build(tmp_path / "train", documents(LENGTHS[:3])).num_documents == 3


@pytest.mark.parametrize("names", [("", ""), ("abc", "xyz")])
def test_another_tokenizer_makes_a_new_store(tmp_path, names):
    build(tmp_path / "train", documents(LENGTHS), tokenizer=names[0])
    store = build(tmp_path / "train", documents(LENGTHS), Counting(plus=1), tokenizer=names[1])
    assert store.document(0).tolist() == [EOT, 2, 3, 4]


def test_a_changed_text_under_the_same_id_is_encoded_again(tmp_path):
    build(tmp_path / "train", documents([2]), tokenizer="abc")
    store = build(tmp_path / "train", [Document(id="d0", text="1 7")], tokenizer="abc")
    assert store.document(0).tolist() == [EOT, 1, 7]


def _build_and_die(folder: Path) -> None:
    def stop(texts):
        os.kill(os.getpid(), signal.SIGKILL)
        return texts

    build(folder, documents(LENGTHS), stop)


def test_killed_while_encoding_and_started_again_gives_the_same_bytes(tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=_build_and_die, args=(tmp_path / "a",))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(DataError, match=r"manifest\.json is missing"):
        TokenStore.open(tmp_path / "a")
    build(tmp_path / "a", documents(LENGTHS))
    build(tmp_path / "b", documents(LENGTHS))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert not list(tmp_path.glob(".a.*.partial"))


def _build(folder: Path) -> None:
    build(folder, documents(LENGTHS * 20))


def test_processes_that_build_one_folder_do_not_disturb_each_other(tmp_path):
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_build, args=(tmp_path / "train",)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert TokenStore.open(tmp_path / "train").num_documents == 100


def test_no_documents_is_an_error_that_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="no documents"):
        build(tmp_path / "train", [])
    assert not (tmp_path / "train").exists()


def test_ids_outside_the_vocabulary_are_refused(tmp_path):
    with pytest.raises(DataError, match="ids from 1 to 9"):
        build(tmp_path / "train", documents([9]), vocab=9)


def test_another_vocabulary_is_refused_when_opening(tmp_path):
    build(tmp_path / "train", documents(LENGTHS))
    assert TokenStore.open(tmp_path / "train", VOCAB).num_documents == 5
    with pytest.raises(DataError, match="vocabulary of 5,000, this tokenizer has 6"):
        TokenStore.open(tmp_path / "train", 6)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_or_lost_is_noticed_and_made_again(tmp_path, name):
    folder = build(tmp_path / "train", documents(LENGTHS)).folder
    whole = content(folder)
    (folder / name).write_bytes(whole[name][:-1])
    with pytest.raises(DataError, match="do not have the sizes"):
        TokenStore.open(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match="not a whole token store"):
        TokenStore.open(folder)
    build(folder, documents(LENGTHS))
    assert content(folder) == whole


def test_a_changed_byte_is_found_by_checking(tmp_path):
    store = build(tmp_path / "train", documents(LENGTHS))
    data = bytearray((store.folder / "ids.bin").read_bytes())
    data[4] ^= 1
    (store.folder / "ids.bin").write_bytes(data)
    with pytest.raises(DataError, match="SHA-256 differs"):
        TokenStore.open(store.folder).check()


@pytest.mark.parametrize("text", ["{}", '{"documents": "many"}'])
def test_a_manifest_that_is_not_ours_is_refused(tmp_path, text):
    folder = build(tmp_path / "train", documents(LENGTHS)).folder
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="not a whole token store"):
        TokenStore.open(folder)
    (folder / "manifest.json").write_text(json.dumps([]))
    with pytest.raises(StorageError, match="manifest"):
        TokenStore.open(folder)


@pytest.mark.parametrize("content", [b"\x93NUMPY\x01\x00v\x00{'descr': (", b"", np.zeros(3).tobytes()])
def test_an_array_that_is_damaged_within_its_size_is_one_line(tmp_path, content):
    build(tmp_path / "train", documents(LENGTHS))
    path = tmp_path / "train" / "offsets.npy"
    path.write_bytes(content.ljust(path.stat().st_size, b"("))
    with pytest.raises(DataError, match=r"offsets\.npy is damaged"):
        TokenStore.open(tmp_path / "train")


def test_a_manifest_that_lies_about_its_documents_is_one_line(tmp_path):
    build(tmp_path / "train", documents(LENGTHS))
    path = tmp_path / "train" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"documents": 7}))
    with pytest.raises(DataError, match=r"sizes of manifest\.json"):
        TokenStore.open(tmp_path / "train")
