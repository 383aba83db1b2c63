"""A set of files is one model, whichever of them is named; a set that is not whole is refused in one line."""

import os
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tests.convert.conftest import METADATA, in_two, model_folder, outgoing
from tests.model.families.conftest import SMALL

import hanmo
from hanmo.base.errors import ModelError
from hanmo.convert.gguf_reader import Value
from hanmo.convert.gguf_split import read_gguf, sets_in
from hanmo.convert.gguf_writer import write_gguf
from hanmo.convert.sources import local_model

NUMBERS = {f"t{number}": np.arange(6, dtype=np.float32).reshape(2, 3) + number for number in range(5)}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))


def write_part(path: Path, number: int, count: int, names: str, **changes: Value) -> Path:
    """One part with the tensors whose numbers are given, said to be number + 1 of count."""
    about: dict[str, Value] = {"split.no": number, "split.count": count, "split.tensors.count": len(NUMBERS)}
    about |= {key.replace("_", ".", 1): value for key, value in changes.items()}
    metadata = {**METADATA, **about} if number == 0 else about
    write_gguf(path, metadata, {f"t{each}": outgoing(NUMBERS[f"t{each}"]) for each in names})
    return path


def whole_set(place: Path) -> list[Path]:
    """Three parts, the first without tensors, as gguf-split writes them when asked to."""
    return [write_part(place / f"m-0000{n + 1}-of-00003.gguf", n, 3, names) for n, names in enumerate(["", "012", "34"])]


@pytest.mark.parametrize("named", [0, 1, 2])
def test_whichever_part_is_named_all_tensors_and_the_first_ones_metadata_are_there(tmp_path: Path, named: int) -> None:
    file = read_gguf(whole_set(tmp_path)[named])
    assert file.metadata["general.name"] == METADATA["general.name"]
    assert sorted(file.tensors) == sorted(NUMBERS)
    assert all(np.array_equal(file.read(name), numbers) for name, numbers in NUMBERS.items())


def test_what_the_reference_writes_in_parts_is_read_as_one(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=2)
    for name, numbers in NUMBERS.items():
        writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(tmp_path.glob("*.gguf"))
    assert len(parts) == 3
    file = read_gguf(parts[1])
    assert all(np.array_equal(file.read(name), numbers) for name, numbers in NUMBERS.items())


def test_a_file_alone_is_read_alone_whatever_its_name(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m-00001-of-00002.gguf", METADATA, {"t0": outgoing(NUMBERS["t0"])})
    assert list(read_gguf(tmp_path / "m-00001-of-00002.gguf").tensors) == ["t0"]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    parts = whole_set(tmp_path)
    parts[1].unlink()
    with pytest.raises(ModelError, match=r"is one of 3 parts, and m-00002-of-00003\.gguf is not beside it: fetch it too"):
        read_gguf(parts[0])


def test_a_part_under_another_name_is_told_what_it_should_be_called(tmp_path: Path) -> None:
    path = whole_set(tmp_path)[1].rename(tmp_path / "second.gguf")
    with pytest.raises(ModelError, match=r"is part 2 of 3, and its name should say so \(second-00001-of-00003\.gguf\)"):
        read_gguf(path)


@pytest.mark.parametrize(
    ("number", "count", "names", "message"),
    [
        (1, 3, "34", "does not say that it is part 3 of 3: it belongs to another set"),
        (2, 4, "34", "belongs to another set"),
        (2, 3, "23", "has the tensor 't2', which a part before it has too"),
        (2, 3, "3", "promises 5 tensors in its 3 parts, which hold 4"),
    ],
)
def test_parts_that_are_no_set_are_refused(tmp_path: Path, number: int, count: int, names: str, message: str) -> None:
    parts = whole_set(tmp_path)
    write_part(parts[2], number, count, names)
    with pytest.raises(ModelError, match=message):
        read_gguf(parts[0])


def test_one_of_each_set_is_counted(tmp_path: Path) -> None:
    parts = whole_set(tmp_path)
    other = tmp_path / "other.gguf"
    assert sets_in([*parts, other]) == [parts[0], other]
    assert sets_in([parts[2]]) == [parts[2]]


def test_a_model_in_parts_is_one_model_by_any_part_and_by_its_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    (tmp_path / "parts").mkdir()
    parts = in_two(folder, tmp_path / "parts" / "m.gguf")
    places = {local_model(each) for each in (*parts, tmp_path / "parts")}
    assert len(places) == 1
    one, other = hanmo.load(folder), hanmo.load(parts[1])
    state = other.network.state_dict()  # pyright: ignore[reportAttributeAccessIssue]
    assert all(torch.equal(tensor, state[name]) for name, tensor in one.network.state_dict().items())  # pyright: ignore[reportAttributeAccessIssue]
    first = local_model(parts[0])
    os.utime(parts[1], ns=(1, 1))
    assert local_model(parts[0]) != first


def test_a_folder_of_several_models_asks_for_one(tmp_path: Path) -> None:
    whole_set(tmp_path)
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"several GGUF models: name one of m-00001-of-00003\.gguf, other\.gguf"):
        local_model(tmp_path)


@pytest.mark.parametrize("name", ["m.gguf-split-a", "m.gguf.part1of3"])
def test_a_piece_cut_by_bytes_says_how_to_join_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="is a piece of a GGUF file cut by bytes: join all of them"):
        local_model(tmp_path / name)
