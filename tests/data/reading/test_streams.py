import bz2
import gzip
import io
import lzma
import re
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.inputs import InputFile
from hanmo.data.reading.streams import (
    FREE_BYTES,
    BombError,
    Counted,
    Guard,
    Rejoined,
    as_rows,
    as_utf8,
    count_line_ends,
    file_size,
    lines,
    open_file,
    packed_kind,
    unpacked,
)


def guard(packed: int = 1000, ratio: float = 200, most: int = 2**40) -> Guard:
    return Guard(packed, ratio, most)


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12)), st.integers(1, 10))
def test_lines_within_the_limit_come_whole_and_the_lengths_add_up(pieces: list[bytes], limit: int) -> None:
    content = b"\n".join(pieces)
    found = list(lines(io.BytesIO(content), limit))
    assert sum(length for _, length in found) == len(content)
    wanted = (
        [line if len(line.rstrip(b"\n")) <= limit else None for line in content.splitlines(keepends=True)] if b"\r" not in content else None
    )
    if wanted is not None and not set(content) & set(b"\x0b\x0c\x1c\x1d\x1e\x85"):
        assert [line for line, _ in found] == wanted


@pytest.mark.parametrize(("kind", "pack"), [("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress), ("zst", zstd)])
def test_packed_streams_are_unpacked_once_by_their_first_bytes(kind: str, pack) -> None:
    data = b"some words, more words " * 100_000
    assert packed_kind(pack(data)) == kind
    watch = guard()
    with unpacked(io.BufferedReader(io.BytesIO(pack(data))), watch) as stream:
        assert len(stream.peek(60_000)) >= 60_000 and stream.read() == data
    assert watch.unpacked == len(data)
    with unpacked(io.BufferedReader(io.BytesIO(pack(pack(data)))), guard()) as stream:
        assert packed_kind(stream.read(8)) == kind
    with unpacked(io.BufferedReader(io.BytesIO(b"plain")), guard()) as stream:
        assert stream.read() == b"plain" and stream.seekable()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstd], ids=["gz", "xz", "bz2", "zst"])
def test_a_bomb_is_stopped_soon_after_the_free_bytes(pack) -> None:
    packed = pack(bytes(3 * FREE_BYTES))
    watch = guard(len(packed), ratio=100)
    with unpacked(io.BufferedReader(io.BytesIO(packed)), watch) as stream, pytest.raises(BombError, match="max_ratio") as caught:
        while stream.read(2**20):
            pass
    assert watch.unpacked < FREE_BYTES + 2**21 and caught.value.value > 100 == caught.value.threshold


def test_small_files_may_be_packed_as_well_as_they_like() -> None:
    with unpacked(io.BufferedReader(io.BytesIO(gzip.compress(bytes(10**6)))), guard(packed=1)) as stream:
        assert len(stream.read()) == 10**6
    with pytest.raises(BombError, match="max_unpacked"):
        guard(most=10).count(11)


def test_a_member_counts_for_its_archive_until_it_is_stopped() -> None:
    archive = guard(most=100)
    one, two = archive.of_member(1), archive.of_member(1)
    one.count(60)
    with pytest.raises(BombError):
        two.count(50)
    two.forget()
    assert archive.unpacked == 60
    archive.of_member(1).count(40)


def test_counted_streams_fill_every_buffer() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(3, size or 3))

    stream = io.BufferedReader(Counted(Slow(b"x" * 1000)), 512)
    assert len(stream.peek(512)) == 512 and stream.seekable() and stream.seek(990) == 990 and stream.read() == b"x" * 10
    assert not Counted(io.BytesIO(), guard()).seekable()


def test_files_are_opened_and_measured(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    file = InputFile(path=tmp_path / "a", label="a")
    with open_file(file) as stream:
        assert (stream.read(), file_size(file)) == (b"12345", 5)
    with pytest.raises(FileNotFoundError):
        file_size(InputFile(path=tmp_path / "b", label="b"))


ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
CHINESE_TEXT = st.text(st.sampled_from("的一是不了在人有我他这中大来上国说，。！？“”abc 12\n"), max_size=60)
WRITTEN = st.one_of(
    st.tuples(ANY_TEXT, st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le"])), st.tuples(CHINESE_TEXT, st.just("gb18030"))
)


@settings(deadline=None)
@given(WRITTEN)
def test_other_encodings_come_out_as_utf8(written: tuple[str, str]) -> None:
    text, encoding = written
    stream = as_utf8(io.BytesIO(text.encode(encoding)), encoding)
    assert stream.read().decode() == text.removeprefix("\ufeff")


def test_wrong_bytes_stay_wrong_so_that_their_line_alone_is_refused() -> None:
    data = "好行\n".encode("gb18030") + b"\xff\n" + "好行\n".encode("gb18030")
    good, bad, again = as_utf8(io.BytesIO(data), "gb18030").readlines()
    assert good.decode() == again.decode() == "好行\n"
    with pytest.raises(UnicodeDecodeError):
        bad.decode()


def test_a_line_in_another_encoding_is_converted_from_it() -> None:
    chinese, russian = "第一行是中文，读得懂。\n", "Вторая строка написана по-русски.\n"
    data = chinese.encode("gb18030") + russian.encode() + chinese.encode() + b"ascii\n" + russian.encode("cp1251")
    assert as_utf8(io.BytesIO(data), "gb18030").read().decode() == chinese + russian + chinese + "ascii\n" + russian


@pytest.mark.parametrize("encoding", ["cp936", "gb18030"])
def test_a_line_too_long_to_hold_is_converted_in_pieces(encoding: str) -> None:
    text = "开头\n" + "长长的一行。" * 100_000 + "\n" + "结尾没有换行"
    assert as_utf8(io.BytesIO(text.encode(encoding)), encoding).read().decode() == text


def test_rows_are_left_as_they_are_where_lines_end_with_the_byte_of_a_line_end() -> None:
    stream = cast("BinaryIO", io.BytesIO(b"\xff"))
    assert as_rows(stream, "utf-8") is as_rows(stream, "ascii") is as_rows(stream, "gb18030") is stream
    assert as_rows(io.BytesIO("行\n".encode("utf-16-le")), "utf-16-le").read().decode() == "行\n"
    assert as_utf8(stream, "utf-8") is as_utf8(stream, "ascii") is as_utf8(stream, "") is stream


class Slow(io.BytesIO):
    """Gives a few bytes at a time, as a network does."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(self.most)


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", "字".encode()])), st.integers(1, 5))
def test_a_carriage_return_ends_a_line_and_every_byte_stays_where_it_was(pieces: list[bytes], most: int) -> None:
    data = b"".join(pieces)
    marked = re.sub(rb"\r(?!\n)", b"\n", data)
    assert [line for line, _ in lines(Slow(data, most), 100)] == re.findall(rb"[^\n]*\n|[^\n]+", marked)
    blocks = [data[start : start + most] for start in range(0, len(data), most)]
    before = [b"", *blocks]
    assert sum(count_line_ends(block, last[-1:]) for last, block in zip(before, blocks, strict=False)) == marked.count(b"\n")


@given(st.binary(max_size=40), st.integers(0, 40), st.integers(1, 9))
def test_what_was_read_to_look_at_it_comes_again_before_the_rest(data: bytes, place: int, size: int) -> None:
    stream = io.BytesIO(data)
    again = io.BufferedReader(Rejoined(stream.read(place), stream), size)
    assert b"".join(iter(lambda: again.read(size), b"")) == data
