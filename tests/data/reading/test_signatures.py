import pytest

from hanmo.data.reading.formats import find_format
from hanmo.data.reading.signatures import MAGIC, known_bytes


@pytest.mark.parametrize("words", MAGIC)
def test_a_signature_is_called_by_its_name_whatever_the_file_is_called(words: str) -> None:
    place, magic = MAGIC[words]
    head = b"x" * place + magic + b"\0\1\2" + b"more" * 100
    assert known_bytes(head) == words
    assert {(found.kind, found.note) for name in ("a.txt", "a", "a.doc") if (found := find_format(name, head))} == {("binary", words)}


@pytest.mark.parametrize("words", [words for words, (_, magic) in MAGIC.items() if magic.isalnum()])
def test_a_sentence_that_begins_like_a_signature_is_text(words: str) -> None:
    place, magic = MAGIC[words]
    head = b"x" * place + magic + " 是一个例子。\r\n\tIt is only a word.\n".encode()
    assert known_bytes(head) == "" and find_format("a.txt", head).kind == "text"
