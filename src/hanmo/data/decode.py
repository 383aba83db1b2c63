"""Bytes become text, or a refusal.

In: the bytes of a file or of one line. Out: text. The idea: a byte order mark is believed, everything else has to be valid
UTF-8. Detection of GB18030 and Big5 has its place here (`decode`), so that every reader gains it at once.
"""

import codecs

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x7fELF", b"Rar!", b"7z\xbc\xaf\x27\x1c")


def decode(data: bytes) -> str:
    """The text in `data`.

    Raises UnicodeDecodeError when it is neither marked nor valid UTF-8.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    return data.decode("utf-8")


def is_binary(head: bytes) -> bool:
    """Whether the first bytes of a file belong to something that is no text.

    A NUL byte without the mark of UTF-16 or UTF-32, or the signature of a well-known format.

    >>> is_binary(b"plain text"), is_binary(b"\\x00\\x01"), is_binary(b"%PDF-1.7")
    (False, True, True)
    """
    if any(head.startswith(mark) for mark, _ in BYTE_ORDER_MARKS):
        return False
    return head.startswith(MAGIC) or b"\0" in head
