import gzip
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmo.data.reading.archives import zip_name
from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import format_of, read_unit

CHINESE = "山下有一条小河，河边住着一位老人。"
ENGLISH = "An old man lived beside the river."


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [CHINESE]}), sink)
    return sink.getvalue()


MEMBERS = {
    "a.txt": ENGLISH.encode(),
    "sub/b.txt": CHINESE.encode("gb18030"),
    "rows.jsonl.gz": gzip.compress(f"{json.dumps({'text': ENGLISH})}\nbroken\n".encode(), mtime=0),
    "t.parquet": parquet(),
    "picture.png": b"\x89PNG....",
    "inner.zip": b"PK\x03\x04....",
    "inner.tar.gz": gzip.compress(b"x".ljust(257, b"\0") + b"ustar".ljust(512, b"\0"), mtime=0),
    "__MACOSX/._a": b"x",
    "../out.txt": b"x",
    "/etc/abs.txt": b"x",
    "empty.txt": b"",
}
WANTED = {
    "a.txt": ENGLISH,
    "sub/b.txt": CHINESE,
    "rows.jsonl.gz#1": ENGLISH,
    "rows.jsonl.gz#2": "!malformed",
    "t.parquet#1": CHINESE,
    "picture.png": "!binary",
    "inner.zip": "!nested_archive",
    "inner.tar.gz": "!nested_archive",
    "__MACOSX/._a": "!hidden",
    "../out.txt": "!unsafe_name",
    "/etc/abs.txt": "!unsafe_name",
    "empty.txt": "",
}


def read(path: Path, **settings) -> dict[str, str]:
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    entries = list(read_unit(Unit(file=file, format=format_of(file, config)), config))
    found = {entry.source.removeprefix(f"{path.name}/"): entry.text if isinstance(entry, Text) else f"!{entry.rule}" for entry in entries}
    assert len(found) == len(entries)
    return found


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            archive.addfile(item, io.BytesIO(data))
    return path


def test_members_of_a_zip_are_read_like_files(tmp_path: Path) -> None:
    assert read(make_zip(tmp_path / "a.zip", MEMBERS)) == WANTED
    assert read(make_zip(tmp_path / "wrong.txt", MEMBERS)) == WANTED


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz"), ("a.dat", "w:bz2")]
)
def test_members_of_a_tar_are_read_like_files(tmp_path: Path, name: str, mode: str) -> None:
    assert read(make_tar(tmp_path / name, MEMBERS, mode)) == WANTED


def test_a_tar_in_zstandard_is_read(tmp_path: Path) -> None:
    plain = make_tar(tmp_path / "a.tar", MEMBERS).read_bytes()
    (tmp_path / "a.tar.zst").write_bytes(pa.Codec("zstd").compress(plain, asbytes=True))
    assert read(tmp_path / "a.tar.zst") == WANTED


def test_links_and_folders_inside_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        folder, link, pipe = tarfile.TarInfo("sub"), tarfile.TarInfo("link"), tarfile.TarInfo("pipe")
        folder.type, link.type, pipe.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, "/etc/passwd"
        for item in (folder, link, pipe):
            archive.addfile(item)
    assert read(tmp_path / "a.tar") == {"link": "!special_file", "pipe": "!special_file"}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        item = zipfile.ZipInfo("link")
        item.external_attr = 0o120777 << 16
        archive.writestr(item, "/etc/passwd")
        archive.mkdir("sub")
    assert read(tmp_path / "a.zip") == {"link": "!special_file"}


def test_an_encrypted_member_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"secret.txt": b"x", "open.txt": ENGLISH.encode()})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the first header of each kind belongs to secret.txt
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert read(path) == {"secret.txt": "!encrypted", "open.txt": ENGLISH}


def test_a_bomb_inside_is_stopped_and_the_others_are_read(tmp_path: Path) -> None:
    members = {"a.txt": ENGLISH.encode(), "bomb.jsonl": b" " * 2**25, "z.txt": CHINESE.encode()}
    path = make_zip(tmp_path / "a.zip", members)
    assert path.stat().st_size < 2**17
    assert read(path) == {"a.txt": ENGLISH, "bomb.jsonl": "!bomb", "z.txt": CHINESE}
    assert read(make_tar(tmp_path / "a.tar.gz", members, "w:gz"))["a.txt"] == ENGLISH
    assert "!bomb" in read(tmp_path / "a.tar.gz").values()
    assert read(path, max_unpacked=2**24)["bomb.jsonl"] == "!bomb"


def test_members_that_lie_on_each_other_are_counted_together(tmp_path: Path) -> None:
    """A zip whose directory names one packed member many times: each is within its own limit, all together are not."""
    path = make_zip(tmp_path / "a.zip", {"0.jsonl": b" " * 2**24})
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    copies = data[start:end] * 20
    tail = bytearray(data[end:])
    struct.pack_into("<HHII", tail, 8, 20, 20, len(copies), start)
    path.write_bytes(data[:start] + copies + tail)
    found = list(read(path).values())
    assert found.count("!bomb") > 10


def test_damage_costs_what_is_damaged_only(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.txt": ENGLISH.encode() * 50, "b.txt": CHINESE.encode()})
    data = bytearray(path.read_bytes())
    data[45:49] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert read(path) == {"a.txt": "!unreadable", "b.txt": CHINESE}
    whole = make_tar(tmp_path / "w.tar.gz", {"a.txt": ENGLISH.encode() * 2000, "b.txt": bytes(range(48, 120)) * 3000}, "w:gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[:-30])
    found = read(tmp_path / "cut.tar.gz")
    assert found["a.txt"] == ENGLISH * 2000 and "!unreadable" in found.values()


def test_two_members_of_one_name_have_two_labels(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", ENGLISH)
        archive.writestr("a.txt", CHINESE)
    assert read(tmp_path / "a.zip") == {"a.txt": ENGLISH, "a.txt (2)": CHINESE}


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_chinese_names_of_old_zip_programs_are_readable(encoding: str) -> None:
    raw = "我们的文章/第一章.txt".encode(encoding)
    item = zipfile.ZipInfo(raw.decode("cp437"))
    assert zip_name(item) == "我们的文章/第一章.txt"
    item = zipfile.ZipInfo("文章.txt")
    item.flag_bits = 0x800
    assert zip_name(item) == "文章.txt"


def test_a_member_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.txt": b"x" * 2000, "b.txt": b"y" * 10})
    assert read(path, max_bytes=1000) == {"a.txt": "!max_bytes", "b.txt": "y" * 10}


def test_an_archive_without_members_has_a_receipt(tmp_path: Path) -> None:
    assert read(make_zip(tmp_path / "a.zip", {})) == {"a.zip": "!empty"}
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 broken")
    file = InputFile(path=tmp_path / "b.zip", label="b.zip")
    (entry,) = read_unit(Unit(file=file, format=format_of(file, ReadConfig())), ReadConfig())
    assert isinstance(entry, Refused) and entry.rule == "unreadable"
