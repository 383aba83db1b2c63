"""Runs of digits that stand for a person: telephone, ID card, bank card, account, and the IPv4 address.

In: where a run of digits and blanks stands in a text. Out: the numbers in it, the surest kind first. The idea: what has a
check digit is believed by it; what has none is believed by its form (a Chinese mobile, +44 ..., (212) ...) or by a word
before it ("Tel:", 电话). Versions, dates, prices, ISBNs and order numbers have forms of their own and are left alone.
"""

import datetime
import ipaddress
import re
from collections.abc import Callable, Iterator

from hanmo.data.privacy.checksums import iban_fits, id_card_check, luhn

Span = tuple[int, int, str]
SEEN_BEFORE, SEEN_BEHIND = 64, 40
BEFORE = r"(?<![0-9A-Za-z_.+\-¥￥$€£])(?<![0-9],)(?<![A-Za-z]/)"
AFTER = r"(?![0-9A-Za-z_])(?![.,\-][0-9])(?! ?(?:元|块钱|美元|%|％|万|亿|人次|字节))"
EXTENSION = r"(?: ?(?:[xX]|[eE]xt\.? ?|转) ?[0-9]{1,6})?"
CHINESE_MOBILE = r"1(?:3[0-9]|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])"
CHINESE_AREA = r"0(?:10|2[0-57-9]|[3-9][0-9]{2})"

ID_CARD = re.compile(r"(?<![0-9A-Za-z])([1-9][0-9]{5})([ -]?)((?:19|20)[0-9]{6})\2([0-9]{3})([0-9Xx])(?![0-9A-Za-z])")
PROVINCES = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91")
CARD = re.compile(
    r"(?<![0-9A-Za-z_.,/+\-])(?:(?P<plain>[0-9]{12,19})"
    r"|(?P<fours>[0-9]{4}([ -])[0-9]{4}\3[0-9]{4}\3[0-9]{2,4})(?P<tail>\3[0-9]{1,3})?"
    r"|(?P<sixes>[0-9]{4}([ -])[0-9]{6}\6[0-9]{4,5}|[0-9]{6}[ -][0-9]{10,13}))(?![0-9A-Za-z_/]|[.,\-][0-9])"
)
ISSUED = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|5[1-5][0-9]{14}|(?:222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12,15}"  # Discover
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}|(?:2131|1800)[0-9]{11}"  # JCB
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11,16}"  # Diners Club
    r"|(?:60|62|81)[0-9]{14,17}|(?:9558|9843)[0-9]{12,15}"  # UnionPay and older Chinese debit cards
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{8,15}"  # Maestro
)
CARD_WORD = re.compile(r"(?:\bcards?\b|\bcc\b|\bvisa\b|mastercard|卡号|银行卡|信用卡|储蓄卡|借记卡)[^0-9。;；\[\]]{0,20}\Z", re.IGNORECASE)
SSN = re.compile(r"(?<![0-9A-Za-z_.+/\-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9A-Za-z_/\-]|\.[0-9])")
OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = re.compile(rf"(?<![0-9A-Za-z_.\-])(?<![0-9A-Za-z]/)(?:{OCTET}\.){{3}}{OCTET}(?![0-9A-Za-z_]|\.[0-9A-Za-z]|-[0-9])")
VERSION_WORD = re.compile(
    r"(?:\b(?:version|ver|release|build|firmware|sections?|sect|chapter|clause|update|v)|版本?|固件|升级[到至]?|章节|第|§)"
    r"[.:：]?[ \"“]{0,2}\Z",
    re.IGNORECASE,
)
ADDRESS_WORD = re.compile(r"(?:\bip\b|\bdns\b|address|server|host|ping|地址|服务器|主机)[^0-9\[\]]{0,16}\Z", re.IGNORECASE)
IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?: ?[0-9A-Za-z]{4}){2,7}(?: ?[0-9A-Za-z]{1,3})?(?![0-9A-Za-z])")
IBAN_LENGTHS = dict(
    re.findall(
        r"([A-Z]{2})([0-9]{2})",
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27"
        "GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28"
        "PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20",
    )
)
PHONES = [
    re.compile(shape)
    for shape in (
        rf"{BEFORE}(?:(?:0086|86|[(（]86[)）])[ \-]?)?(?:{CHINESE_MOBILE}[0-9]{{8}}|{CHINESE_MOBILE}([ \-])[0-9]{{4}}\1[0-9]{{4}}"
        rf"|{CHINESE_MOBILE}[0-9]([ \-])[0-9]{{3}}\2[0-9]{{4}}){AFTER}",
        rf"{BEFORE}(?:[(（]{CHINESE_AREA}[)）][ \-]?|{CHINESE_AREA}[ \-])"
        rf"[2-8][0-9]{{2,3}}[ \-]?[0-9]{{4}}(?:-[0-9]{{1,5}}|{EXTENSION}){AFTER}",
        rf"{BEFORE}(?:1[ .\-])?(?:\([2-9][0-9]{{2}}\) ?[0-9]{{3}}[ .\-]|[2-9][0-9]{{2}}([.\-])[0-9]{{3}}\1)[0-9]{{4}}{EXTENSION}{AFTER}",
        rf"(?<![0-9A-Za-z_+])00[1-9][0-9]{{0,2}}[ .\-](?:[ .\-()]{{0,3}}[0-9]){{6,12}}{EXTENSION}{AFTER}",
    )
]
PHONES_WITH_PLUS = [
    re.compile(shape)
    for shape in (
        rf"(?<![0-9A-Za-z_+])(?:\+86|[(（]\+86[)）])[ \-]?{CHINESE_MOBILE}[ \-]?[0-9]{{4}}[ \-]?[0-9]{{4}}{AFTER}",
        rf"(?<![0-9A-Za-z_+])\+1[ .\-]?\(?[2-9][0-9]{{2}}\)?[ .\-]?[0-9]{{3}}[ .\-]?[0-9]{{4}}{EXTENSION}{AFTER}",
        rf"(?<![0-9A-Za-z_+])\+[1-9][0-9]{{0,3}}[ .\-]?(?:\([0-9]{{1,4}}\)[ .\-]?)?[0-9](?:[ .\-]?[0-9]){{4,13}}{EXTENSION}{AFTER}",
    )
]
OTHER_SHAPE = (  # cards, ID cards, social security numbers: never a telephone, whatever word stands before
    r"(?![0-9]{4}([ \-])[0-9]{4}\1[0-9]{4}\1[0-9]|[0-9]{4}[ \-][0-9]{6}[ \-][0-9]{4,5}(?![0-9])|[0-9]{6}[ \-](?:19|20)[0-9]{6}[ \-]"
    r"|[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9\-]))"
)
PHONE_BY_WORD = re.compile(rf"(?<![0-9A-Za-z_.+\-¥￥$€£(]){OTHER_SHAPE}[(（]?[0-9](?:[ .\-()（）]{{0,2}}[0-9]){{6,14}}{EXTENSION}{AFTER}")
PHONE_WORD = re.compile(
    r"(?:\b(?:tele)?phones?\b|\btel\b|\bmobile\b|\bcell\b|\bfax\b|\bdial\b|\bcall(?:ing)?\b|\bwhatsapp\b|\bsms\b|\bhotline\b|\banswer(?:ing)?\b|\breach\b|\bdesk:|\boffice:"
    r"|电话|手机|座机|固话|传真|致电|拨打|来电|热线|联系方式|手机号码?)[^0-9.。;；!！?？\[\]]{0,16}\Z",
    re.IGNORECASE,
)
PHONE_WORD_AFTER = re.compile(r"[ -]{0,2}(?:fax|office|mobile|cell)\b", re.IGNORECASE)
DATE = re.compile(r"(?:19|20)[0-9]{2}([ .\-])[01]?[0-9]\1[0-3]?[0-9]|[0-3]?[0-9]([ .\-])[0-3]?[0-9]\2(?:19|20)[0-9]{2}")
YEARS = re.compile(r"(?:19|20)[0-9]{2}(?:[ \-\u2010-\u2013.]{1,3}(?:19|20)[0-9]{2})+")
COUNTRY_CODES = re.compile(
    r"1|7|2[07]|2(?:1[12368]|[2346][0-9]|5[0-8]|9[01789])|3[0-469]|3(?:5[0-9]|7[0-8]|8[0-235-79])|4[013-9]|42[013]|5[1-8]|50[0-9]|59[0-9]"
    r"|6[0-6]|6(?:7[02-9]|8[0-35-9]|9[0-2])|8[1246]|8(?:00|5[02356]|8[0168])|9[0-58]|9(?:6[0-8]|7[0-79]|9[2-68])"
)
EXTENSION_MARK = re.compile("x|e|转", re.IGNORECASE)
QUANTITY = re.compile(r"\+[0-9]{1,3}(?:[ .][0-9]{3})*[ .]000|\+[0-9]{4,}\.[0-9]+")
CLOSED = re.compile("[)）]")
NEVER_RINGS = re.compile(r"555[ .\-]?01[0-9]{2}(?![0-9])|(?<![0-9])(?:(?:86)?11[0-9]{9}|010-?1[0-9]{7})(?![0-9])")
NO_DIGITS = str.maketrans("", "", " \u00a0().-\u2010\u2011\u2012\u2013（）+")


def numbers_in(text: str, start: int, stop: int) -> Iterator[Span]:
    """(start, stop, kind) of every number of a person that begins in or just before the run text[start:stop], the surest kind first.

    What is found is covered before the next kind is looked for, so that no digit belongs to two numbers.
    """
    base = max(0, start - SEEN_BEFORE)
    window = text[base : stop + SEEN_BEHIND]
    start, stop = start - base, stop - base
    digits = len(window[start:stop].translate(NO_DIGITS))
    for kind, least, finder in STAGES:
        if digits < least:
            continue
        spans = [span for span in finder(window, start, stop) if span[0] < stop]  # what begins later belongs to the next run
        yield from ((base + begin, base + end, kind) for begin, end in spans)
        if spans:
            window = _covered(window, spans)


def _covered(window: str, spans: list[tuple[int, int]]) -> str:
    characters = list(window)
    for begin, end in spans:
        characters[begin:end] = "]" * (end - begin)
    return "".join(characters)


def _valid(pattern: re.Pattern[str], text: str, start: int, stop: int, check: Callable[[re.Match[str]], bool]) -> Iterator[tuple[int, int]]:
    """Where matches stand that pass the check; one that does not hides none that begins inside it."""
    while match := pattern.search(text, start, stop):
        passed = check(match)
        if passed:
            yield match.span()
        start = match.end() if passed else match.start() + 1


def is_id_card(written: str) -> bool:
    """Whether province, birthday and check character of a Chinese ID card fit (GB 11643-1999).

    >>> is_id_card("11010519491231002X"), is_id_card("110105194902310026")
    (True, False)
    """
    number = written.translate(NO_DIGITS).upper()
    if not PROVINCES.match(number) or id_card_check(number[:17]) != number[17]:
        return False
    try:
        datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return True


def is_reserved_phone(number: str) -> bool:
    """Whether a number cannot ring: 555-01xx (North America keeps it for fiction), or Chinese and beginning as none can.

    >>> is_reserved_phone("212-555-0142"), is_reserved_phone("11012345678"), is_reserved_phone("13800138000")
    (True, True, False)
    """
    return NEVER_RINGS.search(number) is not None


def _addresses(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    if text.count(".", start, stop) >= 3:
        yield from _valid(IPV4, text, start, stop + 12, _is_address)


def _ibans(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    yield from _valid(IBAN, text, max(0, start - 12), len(text), _is_iban)


def _id_cards(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    yield from _valid(ID_CARD, text, start, stop + 12, lambda match: is_id_card(match.group()))


def _cards(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    while match := CARD.search(text, start, stop + 12):
        start = match.start() + 1
        for begin, end in (match.span(), match.span("fours"))[: 2 if match["tail"] else 1]:
            if _is_card(text, begin, text[begin:end].translate(NO_DIGITS)):
                yield begin, end
                start = end
                break


def _ssns(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    yield from _valid(SSN, text, start, stop + 12, lambda _: True)


def _is_card(text: str, begin: int, digits: str) -> bool:
    issued = len(digits) > 13 and ISSUED.fullmatch(digits) is not None
    return luhn(digits) and (issued or CARD_WORD.search(text, max(0, begin - 40), begin) is not None)


def _is_iban(match: re.Match[str]) -> bool:
    iban = match.group().replace(" ", "").upper()
    return IBAN_LENGTHS.get(iban[:2]) == str(len(iban)) and "02" <= iban[2:4] <= "98" and iban_fits(iban)


def _is_address(match: re.Match[str]) -> bool:
    text, begin, address = match.string, match.start(), ipaddress.IPv4Address(match.group())
    if not address.is_global or address.is_multicast or VERSION_WORD.search(text, max(0, begin - 16), begin):
        return False
    section = all(len(octet) == 1 for octet in match.group().split(".")[:3])
    return not section or ADDRESS_WORD.search(text, max(0, begin - 40), begin) is not None


def _phones(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    low = max(0, start - 2)
    if text.find("+", low, stop) >= 0:
        for pattern in PHONES_WITH_PLUS:
            yield from _valid(pattern, text, low, stop + 12, lambda match: _is_phone(match.group()))
    for pattern in PHONES:
        yield from _valid(pattern, text, low, stop + 12, lambda match: _is_phone(match.group()))


def _phones_by_word(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    for begin, end in _valid(PHONE_BY_WORD, text, max(0, start - 1), stop + 12, _is_phone_by_word):
        yield begin + (text[begin] in "(（" and not CLOSED.search(text, begin, end)), end


def _is_phone_by_word(match: re.Match[str]) -> bool:
    text, written = match.string, match.group()
    if not PHONE_WORD.search(text, max(0, match.start() - 40), match.start()) and not PHONE_WORD_AFTER.match(text, match.end()):
        return False
    return not (DATE.fullmatch(written) or YEARS.fullmatch(written) or IPV4.search(written)) and _is_phone(written)


def _is_phone(written: str) -> bool:
    number = EXTENSION_MARK.split(written, maxsplit=1)[0]
    if is_reserved_phone(number):
        return False
    if "+" not in number and not number.startswith("00"):
        return True
    digits = number.translate(NO_DIGITS).removeprefix("00")
    return 9 <= len(digits) <= 15 and COUNTRY_CODES.match(digits) is not None and not QUANTITY.fullmatch(number)


STAGES = (  # kind, fewest digits in the run, finder
    ("ip", 4, _addresses),
    ("iban", 4, _ibans),
    ("id_card", 17, _id_cards),
    ("bank_card", 12, _cards),
    ("ssn", 9, _ssns),
    ("phone", 7, _phones),
    ("phone", 7, _phones_by_word),
)
