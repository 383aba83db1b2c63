"""Chinese that was read in the wrong encoding becomes Chinese again, and good text is never touched.

In: text as it was decoded. Out: the text with two kinds of damage undone: UTF-8 that was read as GBK (浣犲ソ for 你好), and GBK that
was read as Latin-1 or Windows-1252 (ÄãºÃ for 你好). The idea: characters go back to the bytes they came from and are read again;
the result is taken only when it is valid, made of frequent characters, and much likelier as Chinese than what stood there.
What was lost for good (锟斤拷, U+FFFD) stays, and `broken` counts it.
"""

import re
from itertools import accumulate

from hanmo.data.reading.charset import log_probability, table

LOST = re.compile("\ufffd|锟斤拷|锟斤|斤拷")
BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
FIRST_PAIRS = "".join(bytes((lead, trail)).decode("gb18030") for lead in (*range(0xE3, 0xEA), 0xEF) for trail in range(0x80, 0xC0))
"""What the first two bytes of a Chinese character in UTF-8 look like in GBK: every third pair of such mojibake, rare elsewhere."""
CANDIDATE = re.compile(f"[{FIRST_PAIRS}](?:[^\0-\x7f]{{2,3}}[{FIRST_PAIRS}]|[^\0-\x7f]{{2,4}}(?![^\0-\x7f]))")
LOST_BYTES = re.compile("\ufffd+")
UTF8_RUN = re.compile(
    rb"(?:[\xe2-\xe9\xef][\x80-\xbf]{2}|[\xc2\xc3][\x80-\xbf]|[\x20-\x7e]"  # as it should be
    rb"|[\xe3-\xe9\xef][\x80-\xbf]?\xff[\x80-\xbf]?|\xff[\x80-\xbf]{2})+"  # with one byte lost
    rb"(?:[\xe3-\xe9\xef][\x80-\xbf]?\Z)?"
)
WINDOWS = {bytes((byte,)).decode("cp1252"): byte for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
LATIN_BYTES = {chr(byte): byte for byte in range(0x100)} | WINDOWS
HIGH = "\x80-\xff" + re.escape("".join(WINDOWS))
LATIN_PAIR = re.compile("[\xa1-\xf7][\xa1-\xfe]")
LATIN_RUN = re.compile(f"(?:[{HIGH}][{HIGH}])+")
LEAST_CHARACTERS = 2
LEAST_MEAN = -8.6
"""Least mean log p of the characters that come out: they have to be more frequent than any ordinary hanzi."""
LEAST_GAIN = {"gbk": 5.0, "latin": 3.0}
"""Nats by which log p has to rise for each character that comes out."""
CHINESE = ("hans", "hant")
MOST_RARE = 0.12
RARE = -11.0
RUN_OF_ACCENTS = -3.0


def repair(text: str) -> str:
    """The text with both kinds of damage undone; unchanged where nothing is sure.

    >>> repair("浣犲ソ锛屼笘鐣�"), repair("ÄãºÃ£¬ÊÀ½ç"), repair("déjà vu, 你好")
    ('你好，世�', '你好，世界', 'déjà vu, 你好')
    """
    if CANDIDATE.search(text):
        text = BEYOND_ASCII.sub(lambda run: _from_gbk(run[0]) if CANDIDATE.search(run[0]) else run[0], text)
    if LATIN_PAIR.search(text):
        text = "\n".join([_from_latin(line) if LATIN_PAIR.search(line) else line for line in text.split("\n")])
    return text


def broken(text: str) -> int:
    """Number of characters in the marks of a decoding that lost them: U+FFFD, and 锟斤拷, which is U+FFFD in UTF-8 read as GBK.

    >>> broken("好\\ufffd锟斤拷锟斤拷"), broken("斤斤计较")
    (7, 0)
    """
    return sum(map(len, LOST.findall(text))) if "\ufffd" in text or "锟斤" in text else 0


def _from_gbk(run: str) -> str:
    """A run without ASCII, its parts that are UTF-8 read as GBK undone; a character that lost a byte comes out as U+FFFD."""
    pieces = [b"\xff" if character == "\ufffd" else character.encode("gb18030", "ignore") for character in run]
    places = list(accumulate(map(len, pieces), initial=0))
    numbers = {place: number for number, place in enumerate(places)}
    data = b"".join(pieces).replace(b"\xe3\xff", b"\xe3\x80")  # the byte that GBK cannot begin a pair with, in Chinese punctuation
    out, done, start = "", 0, 0
    while start < len(run):
        found = UTF8_RUN.match(data, places[start]) if CANDIDATE.match(run, start) else None
        end = numbers.get(found.end()) if found else None
        good = LOST_BYTES.sub("\ufffd", found[0].decode("utf-8", "replace")) if found and end else ""
        if good and end and _is_better(good, run[start:end], "gbk"):
            out, done, start = out + run[done:start] + good, end, end
        else:
            start += 1
    return out + run[done:]


def _from_latin(line: str) -> str:
    """A line that is GBK read as Latin-1 as a whole, or else its runs of pairs."""
    try:
        data = bytes([LATIN_BYTES[character] for character in line])
    except KeyError:
        return LATIN_RUN.sub(lambda run: _run_from_latin(run[0]), line)
    good = _read_as_gbk(data)
    if good and _is_better(good, line, "latin"):
        return good
    return LATIN_RUN.sub(lambda run: _run_from_latin(run[0]), line)


def _run_from_latin(run: str) -> str:
    good = _read_as_gbk(bytes([LATIN_BYTES[character] for character in run]))
    return good if good and _is_better(good, run, "latin") else run


def _read_as_gbk(data: bytes) -> str:
    """Bytes as GBK; empty when they are none, or are UTF-8, whose damage is another one."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError:
            return ""
    return ""


def _is_better(good: str, found: str, damage: str) -> bool:
    """Whether `good` is surely what `found` was meant to be."""
    codes = [min(ord(character), 0xFFFF) for character in good if character > "\x7f" and character != "\ufffd"]
    if len(codes) < LEAST_CHARACTERS:
        return False
    language = max(CHINESE, key=lambda name: float(table(name)[codes].sum()))
    logs = table(language)[codes]
    if logs.mean() < LEAST_MEAN or (logs < RARE).mean() > MOST_RARE:
        return False
    if damage == "gbk":
        before = max(log_probability(found, name) for name in CHINESE)
    else:
        before = log_probability(found, "latin") + RUN_OF_ACCENTS * len(LATIN_PAIR.findall(found))
    return log_probability(good.replace("\ufffd", ""), language) - before >= LEAST_GAIN[damage] * len(logs)
