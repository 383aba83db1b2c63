"""What files that are no text begin with.

In: the first bytes of a file. Out: what it is, in words. The idea: a signature of letters may also begin a sentence, so it counts
only where bytes that no text holds stand near it.
"""

import re

NEVER_IN_TEXT = re.compile(rb"[\0-\x08\x0e-\x1a]")
NEAR = 1024
MAGIC = {
    "a PNG picture": (0, b"\x89PNG"),
    "a JPEG picture": (0, b"\xff\xd8\xff"),
    "a GIF picture": (0, b"GIF8"),
    "a TIFF picture": (0, b"II*\0"),
    "a DjVu book": (0, b"AT&TFORM"),
    "a program": (0, b"\x7fELF"),
    "a program for Windows": (0, b"MZ"),
    "a RAR archive": (0, b"Rar!"),
    "a 7z archive": (0, b"7z\xbc\xaf\x27\x1c"),
    "a file packed by lz4": (0, b"\x04\x22\x4d\x18"),
    "a file packed by compress": (0, b"\x1f\x9d"),
    "an old Office document": (0, b"\xd0\xcf\x11\xe0"),
    "a book of Kindle": (60, b"BOOKMOBI"),
    "a SQLite database": (0, b"SQLite format 3\0"),
    "a file of Arrow": (0, b"ARROW1"),
    "a file of Avro": (0, b"Obj\x01"),
    "a file of ORC": (0, b"ORC"),
    "a file of HDF5": (0, b"\x89HDF"),
    "arrays of NumPy": (0, b"\x93NUMPY"),
    "a pickle": (0, b"\x80\x04\x95"),
    "a model in GGUF": (0, b"GGUF"),
    "a film": (4, b"ftyp"),
    "sound or a film in RIFF": (0, b"RIFF"),
    "sound in Ogg": (0, b"OggS"),
    "sound in MP3": (0, b"ID3"),
    "sound in FLAC": (0, b"fLaC"),
}
"""What is known by its first bytes: its name, the place of its signature, the signature."""


def known_bytes(head: bytes) -> str:
    """What a file is whose signature is known, in words; empty for all others.

    >>> known_bytes(b"\\x89PNG\\r\\n"), known_bytes(b"ID3\\x04\\0"), known_bytes(b"ID3 is an algorithm.")
    ('a PNG picture', 'sound in MP3', '')
    """
    return next((words for words, (place, magic) in MAGIC.items() if _stands(head, place, magic)), "")


def _stands(head: bytes, place: int, magic: bytes) -> bool:
    return head.startswith(magic, place) and (not magic.isascii() or bool(NEVER_IN_TEXT.search(head, 0, NEAR)))
