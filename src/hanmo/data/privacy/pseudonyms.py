"""A stand-in for personal data: the same value always gets the same one, and it belongs to nobody.

In: a value, its kind and a seed. Out: a value of the same kind, in one agreed way of writing it. The idea: a keyed hash of
the value draws it, so that texts stay consistent over a whole data set without a table; what it draws is set aside for
examples or cannot be valid: example.com (RFC 2606), documentation addresses (RFC 5737, RFC 3849), 555-01xx, country code
+999, Chinese mobiles that begin with 11, check digits that do not fit, SSN area 000. Who knows the seed can try values out,
so it should be large and kept to oneself.
"""

import datetime
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from hanmo.data.privacy.checksums import MOD_11_2, id_card_check, luhn
from hanmo.data.privacy.personal_numbers import CHINESE_AREA, CHINESE_MOBILE, EXTENSION_MARK

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DOCUMENTATION = ("192.0.2", "198.51.100", "203.0.113")
FIRST_DAY = datetime.date(1950, 1, 1).toordinal()
DAYS = 20_000
MOBILE = re.compile(rf"{CHINESE_MOBILE}[0-9]{{8}}")
LANDLINE = re.compile(rf"{CHINESE_AREA}[2-8][0-9]{{6,7}}")


@dataclass(slots=True)
class Draw:
    """Numbers drawn from a hash, one after the other."""

    left: int

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        self.left, number = divmod(self.left, limit)
        return number

    def digits(self, count: int) -> str:
        """That many decimal digits."""
        return str(self.below(10**count)).zfill(count) if count > 0 else ""


def pseudonym(value: str, kind: str, seed: int) -> str:
    """The stand-in of a value.

    >>> pseudonym("li@hanmo.cn", "email", 1) == pseudonym("Li@Hanmo.cn", "email", 1)
    True
    """
    if kind == "phone":
        agreed = _national(value)
    elif kind in ("email", "url", "ip"):
        agreed = value.lower()
    else:
        agreed = "".join(filter(str.isalnum, value.upper()))
    key = hashlib.sha256(str(seed).encode()).digest()
    drawn = hashlib.blake2b(f"{kind}\x1f{agreed}".encode(), key=key).digest()
    return MAKERS[kind](value, Draw(int.from_bytes(drawn, "big")))


def _email(_: str, draw: Draw) -> str:
    return f"user{draw.below(16**8):08x}@example.com"


def _url(value: str, draw: Draw) -> str:
    scheme = value.split("://", 1)[0]
    return f"{scheme}://user:secret@host-{draw.below(16**8):08x}.example.com/"


def _ip(value: str, draw: Draw) -> str:
    if ":" in value:
        return "2001:db8:" + ":".join(f"{1 + draw.below(65535):x}" for _ in range(6))
    return f"{DOCUMENTATION[draw.below(3)]}.{1 + draw.below(254)}"


def _iban(value: str, draw: Draw) -> str:
    drawn = "".join(_like(character, draw) for character in value[4:] if character != " ")
    return value[:2].upper() + "00" + drawn


def _like(character: str, draw: Draw) -> str:
    """Another character of the same class."""
    return draw.digits(1) if character.isdecimal() else LETTERS[draw.below(26)]


def _id_card(_: str, draw: Draw) -> str:
    born = datetime.date.fromordinal(FIRST_DAY + draw.below(DAYS))
    number = f"99{draw.digits(4)}{born:%Y%m%d}{draw.digits(3)}"
    wrong = [check for check in MOD_11_2 if check != id_card_check(number) and (check == "X" or not luhn(number + check))]
    return number + wrong[draw.below(len(wrong))]


def _bank_card(value: str, draw: Draw) -> str:
    digits = "".join(filter(str.isdecimal, value))
    return _unfit(digits[0] + draw.digits(len(digits) - 1))


def _unfit(number: str) -> str:
    """The number with another last digit where it would pass for a bank card."""
    return number[:-1] + str((int(number[-1]) + 1) % 10) if luhn(number) else number


def _ssn(_: str, draw: Draw) -> str:
    return f"000-{1 + draw.below(99):02}-{1 + draw.below(9999):04}"


def _phone(value: str, draw: Draw) -> str:
    """One agreed way of writing each sort of number, whatever way the value was written in."""
    digits = _national(value)
    if MOBILE.fullmatch(digits):
        return f"11{draw.digits(9)}"
    if LANDLINE.fullmatch(digits):
        return f"010-1{draw.digits(7)}"
    if value.startswith("+") and len(digits) != 10:
        return f"+999{draw.digits(max(7, len(digits) - 3))}"
    if len(digits) == 10:
        return f"{7 + draw.below(3)}{draw.digits(2)}-555-01{draw.digits(2)}"
    if len(digits) <= 7:
        return f"555-01{draw.digits(2)}"
    return _unfit(f"{7 + draw.below(3)}{draw.digits(len(digits) - 8)}55501{draw.digits(2)}")


def _national(value: str) -> str:
    """The digits of a telephone number without extension, and without the country code of China and North America."""
    number = EXTENSION_MARK.split(value, maxsplit=1)[0]
    digits = "".join(filter(str.isdecimal, number)).removeprefix("00")
    if digits.startswith("86") and len(digits) >= 12:
        digits = digits[2:] if MOBILE.fullmatch(digits[2:]) else "0" + digits[2:].removeprefix("0")
    elif len(digits) == 11 and digits.startswith("1") and not MOBILE.fullmatch(digits):
        digits = digits[1:]
    return digits


MAKERS: dict[str, Callable[[str, Draw], str]] = {
    "email": _email,
    "url": _url,
    "ip": _ip,
    "iban": _iban,
    "id_card": _id_card,
    "bank_card": _bank_card,
    "ssn": _ssn,
    "phone": _phone,
}
