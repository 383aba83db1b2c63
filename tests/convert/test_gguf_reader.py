"""A file that lies is refused in one line: never a MemoryError, never a number that is not in the file."""

import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.convert.conftest import small_file

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_reader import GgufFile

HUGE = (1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small_file(tmp_path_factory.mktemp("gguf") / "m.gguf")[0].read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "m.gguf"


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """What a file claims is never allocated: 2 GB more than now is all there is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as stream:  # noqa: PTH123
        now = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (2 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def read_all(path: Path, content: bytes) -> str:
    """Everything the file holds, or the one line that refuses it."""
    path.unlink(missing_ok=True)  # an earlier map keeps its own file
    path.write_bytes(content)
    try:
        file = GgufFile(path)
        with np.errstate(all="ignore"):
            for name, stored in file.tensors.items():
                assert file.read(name).shape == stored.shape
    except ModelError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        return str(error)
    return ""


def patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_files_are_read_or_refused(sound: bytes, place: Path, data: st.DataObject) -> None:
    content = sound
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=8),
                st.sampled_from(HUGE).map(lambda value: struct.pack("<Q", value)),
                st.integers(0, 40).map(lambda value: struct.pack("<I", value)),
            )
        )
        content = patched(content, at, new)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    refusal = read_all(place, content)
    assert not refusal if content == sound else refusal.count("\n") == 0


@given(end=st.integers(0, 2000))
@example(end=0)
@example(end=4)
@example(end=24)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_truncated_file_is_refused(sound: bytes, place: Path, end: int) -> None:
    assert read_all(place, sound[: min(end, len(sound) - 40)])


def test_the_sound_file_is_read(sound: bytes, place: Path) -> None:
    assert read_all(place, sound) == ""


@pytest.mark.parametrize("count", HUGE)
def test_absurd_counts_are_refused(sound: bytes, place: Path, count: int) -> None:
    assert "tensors, for which its" in read_all(place, patched(sound, 8, struct.pack("<Q", count)))
    assert "metadata entries, for which its" in read_all(place, patched(sound, 16, struct.pack("<Q", count)))
    assert "the length of" in read_all(place, sound[:26]) or "a metadata key" in read_all(
        place, patched(sound, 24, struct.pack("<Q", count))
    )
    elements = sound.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens") + 8
    assert "elements of tokenizer.ggml.tokens" in read_all(place, patched(sound, elements, struct.pack("<Q", count)))


def table(sound: bytes, name: str) -> int:
    """Where the numbers of a tensor's row begin: dimensions, shape, format, offset."""
    return sound.index(struct.pack("<Q", len(name)) + name.encode()) + 8 + len(name)


@pytest.mark.parametrize("size", [0, *HUGE])
def test_absurd_shapes_and_offsets_are_refused(sound: bytes, place: Path, size: int) -> None:
    at = table(sound, "norm.weight")
    assert "the shape" in read_all(place, patched(sound, at + 4, struct.pack("<Q", size)))
    if size:
        assert "'norm.weight'" in read_all(place, patched(sound, at + 16, struct.pack("<Q", size)))


def test_dimensions_and_formats_that_do_not_exist_are_refused(sound: bytes, place: Path) -> None:
    at = table(sound, "norm.weight")
    assert "dimensions, 1 to 4" in read_all(place, patched(sound, at, struct.pack("<I", 5)))
    assert "has the format 99, which is none of GGUF" in read_all(place, patched(sound, at + 12, struct.pack("<I", 99)))
    assert "no whole blocks of Q4_0" in read_all(place, patched(sound, at + 12, struct.pack("<I", 2)))


@pytest.mark.parametrize(("code", "name"), [(16, "IQ2_XXS"), (34, "TQ1_0"), (27, "I64"), (31, "Q4_0_4_4")])
def test_a_sound_file_in_a_format_that_is_not_read_is_called_by_its_name(sound: bytes, place: Path, code: int, name: str) -> None:
    refusal = read_all(place, patched(sound, table(sound, "norm.weight") + 12, struct.pack("<I", code)))
    assert f"'norm.weight' is stored as {name}, which is not read here: take a file of this model in one of F32, F16" in refusal
    assert "sound" not in refusal


def test_tensors_that_share_bytes_are_refused(sound: bytes, place: Path) -> None:
    """Many tensors over the same bytes would ask for more memory than the file has."""
    assert "share bytes" in read_all(place, patched(sound, table(sound, "norm.weight") + 16, struct.pack("<Q", 0)))


def test_names_that_come_twice_are_refused(sound: bytes, place: Path) -> None:
    twice = sound.replace(b"tokenizer.ggml.scores", b"tokenizer.ggml.tokens")
    assert "the metadata key 'tokenizer.ggml.tokens' comes twice" in read_all(place, twice)


def test_other_files_and_versions_are_refused(sound: bytes, place: Path) -> None:
    assert "is no GGUF file: it begins with b'PK" in read_all(place, b"PK\3\4" + bytes(100))
    assert "version 1 of GGUF is not read here" in read_all(place, patched(sound, 4, struct.pack("<I", 1)))
    assert "big-endian" in read_all(place, patched(sound, 4, struct.pack(">I", 3)))
    assert read_all(place, patched(sound, 4, struct.pack("<I", 2))) == ""
    assert "cannot be read" in read_all(place, b"")


def test_text_that_is_no_text_is_refused(sound: bytes, place: Path) -> None:
    assert "is not UTF-8" in read_all(place, sound.replace("模型".encode(), b"\xff\xfe\xff\xff\xff\xff"))
    assert "empty or unreadable" in read_all(place, sound.replace(b"below.zero", b"below\n\0\0ro"))


def test_an_alignment_that_cannot_be_is_refused(sound: bytes, place: Path) -> None:
    key = b"general.alignment"
    moved = sound.replace(b"llama.block_count", key)
    assert "is no power of two" not in read_all(place, moved)
    at = moved.index(key) + len(key) + 4
    assert "general.alignment (=3) is no power of two" in read_all(place, patched(moved, at, struct.pack("<I", 3)))
    assert "general.alignment (=0)" in read_all(place, patched(moved, at, struct.pack("<I", 0)))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        GgufFile(tmp_path / "none.gguf")
