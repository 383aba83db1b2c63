"""Encoding in parallel, in order, and from where a killed process stopped."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.batches.conftest import EOT, VOCAB, documents, encode_batch

from hanmo.base.errors import DataError
from hanmo.base.records import Document
from hanmo.batches import encode as module
from hanmo.batches.encode import Vocabulary, Writer, id_type
from hanmo.batches.store import TokenStore
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.train import train_tokenizer

SENTENCES = ["The ferry leaves at noon.", "灯塔在雾里亮着。", "Nobody saw the second boat, 船已经走远了。", ""]


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def build(folder: Path, items, encode=encode_batch, tokenizer="abc", **options) -> TokenStore:
    return TokenStore.build(folder, iter(items), encode, EOT, VOCAB, tokenizer=tokenizer, **options)


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr(module, "GROUP_DOCUMENTS", 3)
    monkeypatch.setattr(module, "CHECKPOINT_BYTES", 1)


@pytest.mark.usefixtures("small_groups")
def test_any_number_of_processes_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "POOL_AFTER", 20)
    tokenizer = train_tokenizer(SENTENCES * 3, TokenizerConfig(vocab_size=300))
    items = [Document(id=f"d{i}", text=SENTENCES[i % 4] * (i % 7)) for i in range(40)]
    for workers in (1, 2, 3):
        folder = tmp_path / str(workers)
        TokenStore.build(
            folder, iter(items), tokenizer.encode_batch, tokenizer.eot_id, 300, tokenizer=tokenizer.fingerprint, workers=workers
        )
    assert content(tmp_path / "1") == content(tmp_path / "2") == content(tmp_path / "3")
    store = TokenStore.open(tmp_path / "2")
    assert [tokenizer.decode(store.document(i)[1:].tolist()) for i in range(40)] == [item.text for item in items]


class DiesAfter:
    """An encoder that is killed with its process after some texts."""

    def __init__(self, texts: int) -> None:
        self.left = texts

    def __call__(self, texts):
        self.left -= len(texts)
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return encode_batch(texts)


def _build_and_die(folder: Path, count: int, after: int) -> None:
    module.GROUP_DOCUMENTS, module.CHECKPOINT_BYTES = 3, 1
    build(folder, documents([2] * count), DiesAfter(after))


def killed(folder: Path, count: int, after: int) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_build_and_die, args=(folder, count, after))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL


class Counting:
    def __init__(self) -> None:
        self.texts = 0

    def __call__(self, texts):
        self.texts += len(texts)
        return encode_batch(texts)


@pytest.mark.usefixtures("small_groups")
def test_a_killed_process_loses_only_what_came_after_its_last_checkpoint(tmp_path):
    killed(tmp_path / "a", 30, 24)
    counting = Counting()
    build(tmp_path / "a", documents([2] * 30), counting)
    build(tmp_path / "b", documents([2] * 30))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert counting.texts <= 15
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a", "b"]


@pytest.mark.usefixtures("small_groups")
def test_documents_that_changed_after_a_kill_are_encoded_again(tmp_path):
    killed(tmp_path / "a", 30, 24)
    other = documents([2] * 30)
    other[4] = Document(id="d4", text="7 7 7")
    build(tmp_path / "a", other)
    build(tmp_path / "b", other)
    assert content(tmp_path / "a") == content(tmp_path / "b")


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.usefixtures("small_groups")
def test_fewer_documents_than_before_the_kill_leave_no_trace_of_the_others(tmp_path, count):
    killed(tmp_path / "a", 30, 24)
    if not count:
        with pytest.raises(DataError, match="no documents"):
            build(tmp_path / "a", [])
        assert not [path for path in tmp_path.iterdir() if path.is_dir()]
        return
    build(tmp_path / "a", documents([2] * count))
    build(tmp_path / "b", documents([2] * count))
    assert content(tmp_path / "a") == content(tmp_path / "b")


@pytest.mark.usefixtures("small_groups")
def test_what_another_tokenizer_left_is_not_used(tmp_path):
    killed(tmp_path / "a", 30, 24)
    counting = Counting()
    build(tmp_path / "a", documents([2] * 30), counting, tokenizer="xyz")
    assert counting.texts == 30


def test_a_kill_after_the_store_is_in_place_harms_it_not(tmp_path):
    build(tmp_path / "a", documents([2] * 9))
    whole = content(tmp_path / "a")
    work = tmp_path / ".a.encoding"
    work.mkdir()
    for name in ("ids.bin", "documents.jsonl"):
        os.link(tmp_path / "a" / name, work / name)
    rows = np.zeros(9, module.INDEX)
    store = TokenStore.open(tmp_path / "a")
    rows["tokens"], rows["bytes"] = np.diff(store.offsets), store.bytes_of_documents
    rows["digest"] = np.load(store.folder / "digests.npy")
    rows.tofile(work / "index.bin")
    sizes = {name: (work / name).stat().st_size for name in module.GROWING}
    module.write_json(work / module.JOURNAL, {**vars(Vocabulary(EOT, VOCAB, "abc")), "sizes": sizes})
    writer = Writer(work, Vocabulary(EOT, VOCAB, "abc"), None)
    assert writer.write(iter(documents([2] * 3)), encode_batch, 1)
    assert content(tmp_path / "a") == whole
    assert build(tmp_path / "a", documents([2] * 9)).num_documents == 9


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.lists(st.integers(0, 12)), second=st.lists(st.integers(0, 12), min_size=1))
def test_whatever_was_there_before_the_store_is_that_of_its_documents(tmp_path_factory, first, second):
    """Also where documents moved, came between others, or went."""
    folder = tmp_path_factory.mktemp("stores")
    texts = {n: Document(id=f"d{n}", text=" ".join(str(n + 1) for _ in range(n % 5))) for n in range(13)}
    if first:
        build(folder / "a", [texts[n] for n in dict.fromkeys(first)])
    items = [texts[n] for n in dict.fromkeys(second)]
    counting = Counting()
    build(folder / "a", items, counting)
    build(folder / "b", items)
    assert content(folder / "a") == content(folder / "b")
    assert counting.texts == len(set(second) - set(first))


def test_ids_take_the_narrowest_type():
    assert id_type(1 << 16) == np.dtype("<u2")
    assert id_type((1 << 16) + 1) == np.dtype("<u4")
    flat, lengths = Vocabulary(0, 9, "").rows([np.array([3, 4], np.int32), np.array([], np.int32)])
    assert (flat.tolist(), lengths.tolist()) == ([0, 3, 4, 0], [3, 1])


@pytest.mark.usefixtures("small_groups")
def test_an_error_in_another_process_reaches_the_user(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "POOL_AFTER", 0)
    tokenizer = train_tokenizer(SENTENCES, TokenizerConfig(vocab_size=300))
    with pytest.raises(DataError, match="its vocabulary has 5"):
        TokenStore.build(tmp_path / "a", [Document(id="x", text="The ferry")], tokenizer.encode_batch, 0, 5, workers=2)
