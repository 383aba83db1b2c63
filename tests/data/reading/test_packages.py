import io
import zipfile
from collections.abc import Mapping

import pytest

from hanmo.data.reading.contents import Content, ReadConfig
from hanmo.data.reading.formats import Format
from hanmo.data.reading.packages import MEMBER_ERRORS, opened_package, read_xml
from hanmo.data.reading.streams import BombError, TooLargeError


def content(members: dict[str, bytes]) -> Content:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return Content(label="a", format=Format("office"), open=lambda: io.BytesIO(out.getvalue()), size=len(out.getvalue()))


def test_members_come_whole_or_in_blocks_and_a_missing_one_is_an_error() -> None:
    data = bytes(range(256)) * 1000
    with opened_package(content({"a": data, "b": b"words"}), ReadConfig()) as package:
        assert package.names == {"a", "b"} and package.whole("b", 5) == b"words"
        assert b"".join(package.blocks("a")) == data
        with pytest.raises(TooLargeError):
            package.whole("a", 1000)
        with pytest.raises(KeyError):
            package.whole("c", 10)


def test_a_member_that_grows_without_end_is_stopped() -> None:
    with opened_package(content({"zeros": b"0" * 2**25, "b": b"words"}), ReadConfig()) as package:
        with pytest.raises(BombError):
            package.whole("zeros", 2**30)
        assert package.whole("b", 5) == b"words"
    with (
        opened_package(content({"zeros": b"0" * 2000}), ReadConfig(max_unpacked=1000)) as package,
        pytest.raises(BombError, match="max_unpacked"),
    ):
        package.whole("zeros", 2**30)


def test_what_is_no_zip_archive_is_one_of_the_errors_that_readers_know() -> None:
    broken = Content(label="a", format=Format("office"), open=lambda: io.BytesIO(b"PK\x03\x04 no zip"), size=10)
    with pytest.raises(MEMBER_ERRORS), opened_package(broken, ReadConfig()):
        pass


class Heard:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.events.append(f"<{tag} {dict(attributes)}>")

    def end(self, tag: str) -> None:
        self.events.append(f"</{tag}>")

    def data(self, text: str) -> None:
        self.events.append(text)


def test_elements_and_attributes_come_without_prefixes_wherever_a_block_ends() -> None:
    text = "<?xml version='1.0'?><a:b xmlns:a='urn:x' a:c='1'>你&amp;好<d/></a:b>".encode()
    for size in (1, 7, 1000):
        heard = Heard()
        read_xml((text[place : place + size] for place in range(0, len(text), size)), heard)
        assert "".join(heard.events) == "<b {'c': '1'}>你&好<d {}></d></b>"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<a>",
        b"<a></b>",
        b"words",
        b"<a>&nbsp;</a>",
        b"<!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;</a>",
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]><a>&b;</a>",
        b"\xff\xfe\x00",
    ],
)
def test_broken_xml_and_entities_of_its_own_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="XML"):
        read_xml([text], Heard())
