from pathlib import Path

import pytest

from hanmo.base.errors import DataError
from hanmo.data.mixing.augment import AugmentConfig
from hanmo.data.mixing.folds import is_copy, num_folds, read_fold
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.read import ReadConfig, read_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("folds")
    (place / "rows.txt").write_text("\n".join(f"He wrote letter number {i} to the king of stones." for i in range(60)))
    config = PrepareConfig(
        read=ReadConfig(split_on="line"),
        split=SplitConfig(folds=3, validation=0.1, test=0.2),
        augment=AugmentConfig(copies=1, operations=("counterfactual",)),
        workers=1,
    )
    prepare([place / "rows.txt"], place / "data", config)
    return place / "data"


def test_every_document_validates_in_one_fold_and_trains_in_the_others(folder: Path) -> None:
    assert num_folds(folder) == 3
    wanted = sorted(d.id for split in ("train", "validation") for d in read_dataset(folder, split) if not is_copy(d))
    validated: list[str] = []
    for fold in range(3):
        train, validation = (list(part) for part in read_fold(folder, fold))
        names = {d.id for d in validation}
        assert names and not any(is_copy(d) for d in validation) and any(is_copy(d) for d in train)
        assert not names & {d.metadata.get("augmented_from", d.id) for d in train}
        assert sorted([*names, *(d.id for d in train if not is_copy(d))]) == wanted
        validated += names
    assert sorted(validated) == wanted
    assert not set(wanted) & {d.id for d in read_dataset(folder, "test")}


def test_a_fold_that_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fold \(=3\) should be from 0 to 2"):
        read_fold(folder, 3)
    with pytest.raises(DataError, match="is no data set"):
        read_fold(tmp_path, 0)
    (tmp_path / "a.txt").write_text("One letter lay on the table of the house.")
    prepare([tmp_path / "a.txt"], tmp_path / "data", PrepareConfig(workers=1))
    with pytest.raises(DataError, match=r"has no folds: prepare it with --split\.folds"):
        read_fold(tmp_path / "data", 0)
