"""Personal data is found in a text: addresses of people and machines, and numbers that stand for a person.

In: a text. Out: where which kind of personal data stands, in order, without overlaps. The idea: hardly any character of a
text can begin such a thing, so "@", "://", ":" and runs of digits are looked for first, which costs next to nothing, and only
their neighbourhood is read closely. Values reserved for examples (example.com, documentation addresses, 555-01xx) belong to
nobody and are not found, so what `pseudonyms` writes is not found again.
Not found: names and postal addresses (no offline library finds them well enough in both languages), other countries' identity
numbers, addresses written as "name at host dot com".
"""

import bisect
import ipaddress
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from hanmo.data.privacy.personal_numbers import numbers_in

KINDS = ("url", "email", "ip", "iban", "id_card", "bank_card", "ssn", "phone")
"""url: with a password or key inside; ip: globally routable v4 and v6; id_card: Chinese, 18 digits; bank_card: debit and
credit; ssn: US social security number."""

RESERVED_HOST = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$", re.IGNORECASE)
RUN = re.compile("[0-9][-0-9 \u00a0().\u2010-\u2013（）]{5,}[0-9]")
WIDE = re.compile("[０-９＠]")
NARROW = {ord(wide): ord(wide) - 0xFEE0 for wide in "０１２３４５６７８９＠"}
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,15}\Z")
USER = re.compile(r"[^\s/?#@\"'<>\u3000-\u303f\uff00-\uffef]{1,128}@([^\s/?#\"'<>@:\u3000-\u303f\uff00-\uffef]{1,255})")
PATH = re.compile(r"[^\s\"'<>`\u3000-\u303f\uff00-\uffef]*")
SECRET = re.compile(
    r"[?&;](?:password|passwd|pwd|(?:access|auth|refresh)?_?token|api_?key|(?:client_?)?secret|private_?key)=[^&\s]{4,}", re.IGNORECASE
)
HOST = re.compile(r"[^/?#:@]+")
LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-")
DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,24})(?![A-Za-z0-9]|-[A-Za-z0-9])")
FILE_ENDINGS = re.compile("png|jpe?g|gif|svg|webp|bmp|ico|css|m?js|[jt]sx?|json|html?|txt|pdf|mp[34]|zip|gz|py", re.IGNORECASE)
SERVICES = frozenset({"git", "svn", "hg"})
BETWEEN_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
HEXTETS = frozenset("0123456789abcdefABCDEF:")


@dataclass(frozen=True, slots=True, order=True)
class PersonalSpan:
    """Personal data of one kind at text[start:stop]."""

    start: int
    stop: int
    kind: str


@dataclass(slots=True)
class Spans:
    """Stretches of a text that do not overlap; the first comer stays."""

    starts: list[int] = field(default_factory=list[int])
    found: list[PersonalSpan] = field(default_factory=list[PersonalSpan])

    def add(self, start: int, stop: int, kind: str) -> None:
        """Keep a stretch unless a part of it is taken."""
        place = bisect.bisect_left(self.starts, start)
        if (place and self.found[place - 1].stop > start) or (place < len(self.starts) and self.starts[place] < stop):
            return
        self.starts.insert(place, start)
        self.found.insert(place, PersonalSpan(start, stop, kind))


def find(text: str, kinds: Collection[str] = KINDS) -> list[PersonalSpan]:
    """All personal data of these kinds, in the order of the text.

    >>> [(f.kind, f.start, f.stop) for f in find("致电13800138000，或写信到 li@hanmo.cn。")]
    [('phone', 2, 13), ('email', 19, 30)]
    """
    if not text.isascii() and WIDE.search(text):
        text = text.translate(NARROW)
    spans = Spans()
    for kind, finder in (("url", _urls), ("email", _emails), ("ip", _addresses_v6)):
        for start, stop in finder(text) if kind in kinds else ():
            spans.add(start, stop, kind)
    if any(kind in kinds for kind in KINDS[2:]):
        text = _covered(text, spans.found)
        for run in RUN.finditer(text):
            for start, stop, kind in numbers_in(text, run.start(), run.end()):
                if kind in kinds:
                    spans.add(start, stop, kind)
    return spans.found


def _covered(text: str, findings: list[PersonalSpan]) -> str:
    """The text with what was found covered, so that its digits belong to no other number."""
    parts: list[str] = []
    done = 0
    for finding in findings:
        parts += (text[done : finding.start], "]" * (finding.stop - finding.start))
        done = finding.stop
    return "".join((*parts, text[done:])) if parts else text


def is_reserved_host(host: str) -> bool:
    """Whether a host name is set aside for examples (RFC 2606, RFC 6761).

    >>> is_reserved_host("mail.example.com"), is_reserved_host("myexample.com")
    (True, False)
    """
    return RESERVED_HOST.search(host.rstrip(".")) is not None


def _places(text: str, mark: str) -> Iterator[int]:
    place = text.find(mark)
    while place >= 0:
        yield place
        place = text.find(mark, place + len(mark))


def _urls(text: str) -> Iterator[tuple[int, int]]:
    """URLs with user:password@ before the host, or a key among the parameters."""
    for place in _places(text, "://"):
        scheme = SCHEME.search(text, max(0, place - 16), place)
        if not scheme:
            continue
        whole = PATH.match(text, place + 3)
        stop = place + 3 + len(whole.group().rstrip(".,;:!?)]}*_")) if whole else place + 3
        user = USER.match(text, place + 3, stop)
        if user and ":" in user.group():
            host = user.group(1)
        elif SECRET.search(text, place + 3, stop):
            named = HOST.match(text, user.end() if user else place + 3, stop)
            host = user.group(1) if user else named.group() if named else ""
        else:
            continue
        if host and not is_reserved_host(host):
            yield scheme.start(), stop


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for place in _places(text, "@"):
        domain = DOMAIN.match(text, place + 1)
        if not domain or FILE_ENDINGS.fullmatch(domain.group(1)) or is_reserved_host(domain.group()):
            continue
        start = place
        while start and place - start < 64 and text[start - 1] in LOCAL:
            start -= 1
        while start < place and text[start] in ".%+-":
            start += 1
        if start < place and text[place - 1] != "." and text[start:place] not in SERVICES:
            yield start, domain.end()


def _addresses_v6(text: str) -> Iterator[tuple[int, int]]:
    """Global addresses; a time of day, a MAC address and `std::begin` look like them and are none."""
    done = 0
    for colons in BETWEEN_COLONS.finditer(text):
        if colons.start() < done:
            continue
        start, stop = colons.span()
        while start and colons.start() - start < 40 and text[start - 1] in HEXTETS:
            start -= 1
        while stop < len(text) and stop - colons.start() < 40 and text[stop] in HEXTETS:
            stop += 1
        done = stop
        if stop - start > 8 and text[stop - 1] == ":" and text[stop - 2] != ":":
            stop -= 1  # a colon of the sentence
        around = text[start - 1 : start] + text[stop : stop + 1] if start else text[stop : stop + 1]
        if not any(character.isascii() and (character.isalnum() or character == "_") for character in around) and _is_global_v6(
            text[start:stop]
        ):
            yield start, stop


def _is_global_v6(written: str) -> bool:
    try:
        address = ipaddress.IPv6Address(written)
    except ValueError:
        return False
    if "::" in written:
        return written[:1] in "23" and not written.endswith("::") and written.find(":") == 4 and address.is_global
    return any(len(group) > 2 for group in written.split(":")) and address.is_global and not address.is_multicast
