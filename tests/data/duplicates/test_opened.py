import random
from pathlib import Path

import numpy as np
import pytest

import hanmo.data.duplicates.opened as opened_module
from hanmo.data.duplicates.compare import similarity
from hanmo.data.duplicates.letters import letters, spell
from hanmo.data.duplicates.opened import ComparableTexts, Corpus, SignaturesOnDisk, lay_signatures
from hanmo.data.duplicates.signatures import SIGNATURE_VALUES, SignaturesInMemory, candidate_codes
from hanmo.data.tables import ArrowTable, BlockWriter


def test_signatures_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(1, 60, (5000, SIGNATURE_VALUES)).astype(np.uint32)
    blocks = [values[:7], values[7:7], values[7:3000], values[3000:]]
    held, laid = (lay_signatures(tmp_path, len(values), blocks, limit) for limit in (10**9, 1000))
    assert isinstance(held, SignaturesInMemory) and isinstance(laid, SignaturesOnDisk) and len(held) == len(laid) == 5000
    for rows in (np.arange(5000), np.array([0, 1, 40, 4999]), np.array([2047, 2048, 4200]), np.zeros(0, np.int64)):
        assert (held.take(rows) == laid.take(rows)).all() and (laid.take(rows) == values[rows]).all()
    for value in (0, 63, 65):
        assert (laid.column(value) == values[:, value]).all()
    few = [lay_signatures(tmp_path, 300, [values[:300]], limit) for limit in (10**9, 1000)]
    pairs = [np.concatenate(list(candidate_codes(each))) for each in few]
    assert len(pairs[0]) > 100 and (pairs[0] == pairs[1]).all()


@pytest.mark.parametrize(("workers", "most_open"), [(1, 192), (1, 2), (2, 192)])
def test_pairs_are_compared_wherever_their_texts_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, most_open: int) -> None:
    """Blocks in any order, rows between that are not wanted, letters of one to four bytes, more files than stay open."""
    monkeypatch.setattr(opened_module, "MOST_OPEN", most_open)
    dice = random.Random(2)
    texts = ["".join(dice.choices("abc deé山水𠀀", k=60)) for _ in range(12)]
    for number in range(2):
        with BlockWriter(tmp_path / f"{number}.parquet", {"row": "row", "text": "text"}) as writer:
            rows = [{"row": 3 * place, "text": text} for place, text in enumerate(texts[6 * number : 6 * number + 6])]
            rows += [{"row": 1, "text": "not wanted"}]
            dice.shuffle(rows)
            writer.write(ArrowTable.of(rows[:3], {"row": "row", "text": "text"}))
            writer.write(ArrowTable.of(rows[3:], {"row": "row", "text": "text"}))
    corpus = Corpus((tmp_path / "0.parquet", tmp_path / "1.parquet"), np.repeat([0, 1], 6), np.tile(3 * np.arange(6), 2))
    members = np.array([0, 2, 3, 7, 11])
    opened = ComparableTexts(corpus, members, workers, 10**6)
    wanted = np.array([[0, 2], [0, 7], [3, 11], [2, 11]])
    compared = list(opened.compare([wanted[:1], wanted[1:]], 0.0))
    found = {tuple(pair): value for pairs, values in compared for pair, value in zip(pairs.tolist(), values.tolist(), strict=True)}
    plain = [spell(letters(text)[0]) for text in texts]
    assert len(found) == 4 and all(found[(a, b)] == similarity(plain[a], plain[b]) for a, b in wanted.tolist())
