"""Check digits that tell a number from any other run of digits.

In: digits as text. Out: whether, or which, check digit fits. Each formula stands here once, with its source.
"""

LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
MOD_11_2 = "0123456789X"


def luhn(digits: str) -> bool:
    """Whether a card number fits: digits, every second one from the right doubled and reduced, sum to 0 mod 10.

    ISO/IEC 7812-1, annex B.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = sum(map(int, digits[::-2])) + sum(LUHN_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return total % 10 == 0


def id_card_check(digits: str) -> str:
    """The eighteenth character of a Chinese ID card from the first seventeen.

    ISO 7064 MOD 11-2, as GB 11643-1999 uses it: sum of a_i 2^(i-1) over the places from the right, i = 1 the check itself,
    is 1 mod 11; ten is written X.

    >>> id_card_check("11010519491231002")
    'X'
    """
    total = sum(int(digit) << place for place, digit in enumerate(reversed(digits), 1))
    return MOD_11_2[(1 - total) % 11]


def iban_fits(iban: str) -> bool:
    """Whether an IBAN without blanks fits: the first four characters moved to the end, letters as 10 to 35, give 1 mod 97.

    ISO 13616, ISO 7064 MOD 97-10.

    >>> iban_fits("GB82WEST12345698765432"), iban_fits("GB82WEST12345698765423")
    (True, False)
    """
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1
