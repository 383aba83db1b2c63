"""Runs of digits that stand for a person: telephone, ID card, bank card, account, and the IPv4 address.

In: where a run of digits and blanks stands in a text. Out: the numbers in it, the surest kind first. The idea: what has a
check digit is believed by it; what has none is believed by its form (a Chinese mobile, +44 ..., (212) ...) or by a word
before it ("Tel:", 电话). Versions, dates, prices, ISBNs and order numbers have forms of their own and are left alone.
"""

import datetime
import ipaddress
import re
from collections.abc import Iterator

from hanmo.data.checksums import iban_fits, id_card_check, luhn

Span = tuple[int, int, str]
BEFORE = r"(?<![0-9A-Za-z_.+\-¥￥$€£])(?<![0-9],)(?<![A-Za-z]/)"
AFTER = r"(?![0-9A-Za-z_])(?![.,\-][0-9])(?! ?(?:元|块钱|美元|%|％|万|亿|人次|字节))"
EXTENSION = r"(?: ?(?:[xX]|[eE]xt\.? ?|转) ?[0-9]{1,6})?"
CHINESE_MOBILE = r"1(?:3[0-9]|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])"
CHINESE_AREA = r"0(?:10|2[0-57-9]|[3-9][0-9]{2})"

ID_CARD = re.compile(r"(?<![0-9A-Za-z])([1-9][0-9]{5})([ -]?)((?:19|20)[0-9]{6})\2([0-9]{3})([0-9Xx])(?![0-9A-Za-z])")
PROVINCES = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91")
CARD = re.compile(
    r"(?<![0-9A-Za-z_.,/\-])(?:(?P<plain>[0-9]{12,19})"
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
        rf"(?<![0-9A-Za-z_+])\+[1-9](?:[ .\-()]{{0,3}}[0-9]){{7,14}}{EXTENSION}{AFTER}",
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
NEVER_CHINESE = re.compile(r"(?:\+?86 ?)?12[0-9]{9}|010-?1[0-9]{7}")
NO_DIGITS = str.maketrans("", "", " \u00a0().-\u2010\u2011\u2012\u2013（）+")


def numbers_in(text: str, start: int, stop: int) -> Iterator[Span]:
    """(start, stop, kind) of every number of a person near the run text[start:stop]; the surest kind comes first."""
    for finding in _near(text, start, stop):
        if finding[0] < stop:  # what begins behind the run belongs to the next one
            yield finding


def _near(text: str, start: int, stop: int) -> Iterator[Span]:
    digits = len(text[start:stop].translate(NO_DIGITS))
    low, high = max(0, start - 12), min(len(text), stop + 34)
    if text.count(".", start, stop) >= 3:
        yield from ((m.start(), m.end(), "ip") for m in IPV4.finditer(text, start, high) if _is_address(text, m))
    if digits < 7:
        return
    if digits >= 9 or text[start - 1 : start].isalpha():
        yield from ((*m.span(), "iban") for m in IBAN.finditer(text, low, high) if _is_iban(m.group()))
    if digits >= 17:
        yield from ((*m.span(), "id_card") for m in ID_CARD.finditer(text, start, high) if is_id_card(m.group()))
    if digits >= 12:
        yield from _cards(text, start, high)
    if digits >= 9:
        yield from ((*m.span(), "ssn") for m in SSN.finditer(text, start, high))
    yield from ((*span, "phone") for span in _phones(text, start, stop))


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

    >>> is_reserved_phone("212-555-0142"), is_reserved_phone("12012345678"), is_reserved_phone("13800138000")
    (True, True, False)
    """
    return number.translate(NO_DIGITS)[-7:-2] == "55501" or NEVER_CHINESE.fullmatch(number) is not None


def _cards(text: str, start: int, stop: int) -> Iterator[Span]:
    for match in CARD.finditer(text, start, stop):
        spans = [match.span()]
        if match["tail"]:
            spans.append(match.span("fours"))
        for begin, end in spans:
            digits = text[begin:end].translate(NO_DIGITS)
            issued = len(digits) > 13 and ISSUED.fullmatch(digits)
            if luhn(digits) and (issued or CARD_WORD.search(text, max(0, begin - 40), begin)):
                yield begin, end, "bank_card"
                break


def _is_iban(written: str) -> bool:
    iban = written.replace(" ", "").upper()
    return IBAN_LENGTHS.get(iban[:2]) == str(len(iban)) and "02" <= iban[2:4] <= "98" and iban_fits(iban)


def _is_address(text: str, match: re.Match[str]) -> bool:
    begin, address = match.start(), ipaddress.IPv4Address(match.group())
    if not address.is_global or address.is_multicast or VERSION_WORD.search(text, max(0, begin - 16), begin):
        return False
    section = all(len(octet) == 1 for octet in match.group().split(".")[:3])
    return not section or ADDRESS_WORD.search(text, max(0, begin - 40), begin) is not None


def _phones(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    low, high = max(0, start - 2), min(len(text), stop + 12)
    plus = text.find("+", low, stop) >= 0
    for pattern in (*PHONES_WITH_PLUS, *PHONES) if plus else PHONES:
        for match in pattern.finditer(text, low, high):
            if _is_phone(match.group()):
                yield match.span()
    for match in PHONE_BY_WORD.finditer(text, max(0, start - 1), high):
        begin, end = match.span()
        if PHONE_WORD.search(text, max(0, begin - 40), begin) or PHONE_WORD_AFTER.match(text, end):
            written = match.group()
            other = DATE.fullmatch(written) or YEARS.fullmatch(written) or IPV4.search(written)
            if not other and _is_phone(written):
                yield begin + (written[0] in "(（" and not CLOSED.search(written)), end


def _is_phone(written: str) -> bool:
    number = EXTENSION_MARK.split(written, maxsplit=1)[0]
    if is_reserved_phone(number):
        return False
    if "+" not in number and not number.startswith("00"):
        return True
    digits = number.translate(NO_DIGITS).removeprefix("00")
    return 9 <= len(digits) <= 15 and COUNTRY_CODES.match(digits) is not None and not QUANTITY.fullmatch(number)
