from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.duplicates.conftest import letters_of, prose, scattered

from hanmo.data.duplicates.clusters import Clusters, Room, chosen, find_clusters, joined
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.duplicates.opened import Corpus, lay_signatures
from hanmo.data.duplicates.signatures import signature
from hanmo.data.tables import ArrowTable, BlockWriter


def test_plays_of_one_author_all_stay(tmp_path: Path) -> None:
    found = clusters_of(tmp_path, [prose(n, 15_000 + 500 * n) for n in range(6)])
    assert found.leaders.tolist() == list(range(6))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20), st.permutations(range(12)))
def test_what_a_chain_of_pairs_joins_is_one_cluster(pairs: list[tuple[int, int]], rank: list[int]) -> None:
    sets = [{i} for i in range(12)]
    for a, b in pairs:
        if sets[a] is not sets[b]:
            sets[a] |= sets[b]
            for member in sets[b]:
                sets[member] = sets[a]
    wanted = [min(each, key=lambda i: rank[i]) for each in sets]
    assert joined([np.array(pairs, np.int64).reshape(-1, 2)], np.array(rank)).tolist() == wanted


def test_nobody_is_left_out_because_of_a_chain() -> None:
    """1 is like 0 and 2, 2 is not like 0: with 0 best, 1 goes and 2 stays."""
    leaders, values = chosen([(np.array([[0, 1], [1, 2]]), np.array([0.9, 0.8]))], np.array([0, 1, 2]))
    assert leaders.tolist() == [0, 0, 2] and values.tolist() == [1.0, 0.9, 1.0]
    leaders, _ = chosen([(np.array([[1, 0], [1, 2]]), np.array([0.9, 0.8]))], np.array([1, 0, 2]))
    assert leaders.tolist() == [1, 1, 1]


def clusters_of(
    folder: Path, texts: list[str], ids: list[str] | None = None, *, workers: int = 1, held: int = 10**8, **settings: object
) -> Clusters:
    """Two files of documents, each with a row between that is no document."""
    half = len(texts) // 2
    for number, part in enumerate((texts[:half], texts[half:])):
        with BlockWriter(folder / f"{number}.parquet", {"row": "row", "text": "text"}) as writer:
            rows = [{"row": 2 * place, "text": text} for place, text in enumerate(part)]
            writer.write(ArrowTable.of(rows[::-1], {"row": "row", "text": "text"}))
    files = np.array([0] * half + [1] * (len(texts) - half))
    places = np.concatenate([2 * np.arange(half), 2 * np.arange(len(texts) - half)])
    names = np.array(ids or [f"{i:024d}" for i in range(len(texts))], "S24")
    config = DuplicateConfig(**settings)  # pyright: ignore[reportArgumentType]
    values = np.stack([signature(text, config.min_letters) for text in texts])
    corpus = Corpus((folder / "0.parquet", folder / "1.parquet"), files, places)
    laid = lay_signatures(folder, len(texts), [values[:half], values[half:]], held)
    return find_clusters(laid, np.array([len(text) for text in texts]), names, corpus, config, Room(folder, workers, held))


def test_the_longest_is_kept_then_the_smallest_id(tmp_path: Path) -> None:
    text, other = letters_of(1, 500), letters_of(2, 500)
    texts = [scattered(text, 0.1), other, text + "longer", other, scattered(text, 0.15, 5)]
    found = clusters_of(tmp_path, texts, ["a", "c", "d", "b", "e"])
    assert found.leaders.tolist() == found.firsts.tolist() == [2, 3, 2, 3, 2]
    assert found.similarities[1] == 1 and 0.8 < found.similarities[4] < 0.9


def test_a_higher_threshold_keeps_more(tmp_path: Path) -> None:
    text = letters_of(1, 800)
    texts = [text, scattered(text, 0.03), scattered(text, 0.18), letters_of(2, 800)]
    assert clusters_of(tmp_path, texts).leaders.tolist() == [0, 0, 0, 3]
    assert clusters_of(tmp_path, texts, threshold=0.9).leaders.tolist() == [0, 0, 2, 3]


def test_comparing_throws_out_what_signatures_propose_wrongly(tmp_path: Path) -> None:
    text = letters_of(1, 800)
    assert clusters_of(tmp_path, [text, text[:400] + letters_of(2, 400)]).leaders.tolist() == [0, 1]


def test_what_does_not_fit_lies_on_disk_and_the_clusters_are_the_same(tmp_path: Path) -> None:
    texts = [scattered(letters_of(i % 5, 300), 0.02 + 0.01 * (i % 9), i) for i in range(60)]
    for name in ("much", "little"):
        (tmp_path / name).mkdir()
    found, again = clusters_of(tmp_path / "much", texts), clusters_of(tmp_path / "little", texts, held=4096)
    assert (tmp_path / "little" / "signatures.rows").exists() and not (tmp_path / "much" / "signatures.rows").exists()
    for field in ("leaders", "similarities", "firsts"):
        assert (getattr(found, field) == getattr(again, field)).all()
    assert len(set(found.leaders.tolist())) < 60 and not list((tmp_path / "little").glob("spill-*"))


def test_many_copies_have_one_leader_whatever_the_workers(tmp_path: Path) -> None:
    texts = [scattered(letters_of(i % 3, 300), 0.1, i) for i in range(90)]
    found = clusters_of(tmp_path, texts)
    assert len(set(found.leaders.tolist())) == 3
    again = clusters_of(tmp_path, texts, workers=2)
    assert (again.leaders == found.leaders).all() and (again.similarities == found.similarities).all()


def test_short_texts_are_nobodys_copies(tmp_path: Path) -> None:
    assert clusters_of(tmp_path, ["alike alike", "alike alike", "Alike, alike"]).leaders.tolist() == [0, 1, 2]
