"""Personal data in a text is counted, masked, or replaced by stand-ins.

In: a text. Out: the text to keep, and how often each kind was found. The idea: finding is one thing (`personal`), what is put
in its place another (`pseudonyms`); both are pure functions of the text and the settings. A mask has one form in every
language, [EMAIL], [ID_CARD] ..., so that it can be searched for, counted, and made a special token. Redacting twice gives what
redacting once gave, where numbers are set apart by more than a blank.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hanmo.base.config import unknown_key
from hanmo.base.errors import ConfigError
from hanmo.data.privacy.personal import KINDS, find
from hanmo.data.privacy.pseudonyms import pseudonym


@dataclass(frozen=True, kw_only=True)
class RedactConfig:
    """What is done with personal data."""

    mode: Literal["off", "count", "mask", "pseudonymise"] = "count"
    """off: not looked for; count: counted in the receipts, the text stays; mask: replaced by [EMAIL] and the like;
    pseudonymise: replaced by stand-ins that belong to nobody, the same value by the same one everywhere."""
    kinds: tuple[str, ...] = KINDS
    """Which kinds: url (with a password or key inside), email, ip, iban, id_card, bank_card, ssn, phone."""
    seed: int = 0
    """Another seed gives other pseudonyms; who knows it can try values out, so take a large secret number. The manifest
    does not show it."""

    def __post_init__(self) -> None:
        """Check the kinds.

        Raises ConfigError with the nearest known one.
        """
        for kind in self.kinds:
            if kind not in KINDS:
                raise ConfigError(f"redact.kinds: {unknown_key(kind, kind, list(KINDS))}")


COUNT_COLUMNS = {kind: f"pii_{kind}" for kind in KINDS}


def redact(text: str, config: RedactConfig) -> tuple[str, dict[str, int]]:
    """The text to keep, and how often each kind that was looked for stands in it.

    >>> redact("Write to li@hanmo.cn.", RedactConfig(mode="mask", kinds=("email", "phone")))
    ('Write to [EMAIL].', {'email': 1, 'phone': 0})
    """
    if config.mode == "off":
        return text, {}
    found = find(text, config.kinds)
    counts = dict.fromkeys(config.kinds, 0)
    for finding in found:
        counts[finding.kind] += 1
    if config.mode == "count" or not found:
        return text, counts
    parts: list[str] = []
    done = 0
    for finding in found:
        parts += (text[done : finding.start], _replacement(text[finding.start : finding.stop], finding.kind, config))
        done = finding.stop
    return "".join((*parts, text[done:])), counts


def redact_metadata(metadata: Mapping[str, str], config: RedactConfig) -> dict[str, str]:
    """Metadata with the same replacements as the text; what is found there is not counted."""
    return {name: redact(value, config)[0] for name, value in metadata.items()}


def _replacement(value: str, kind: str, config: RedactConfig) -> str:
    return f"[{kind.upper()}]" if config.mode == "mask" else pseudonym(value, kind, config.seed)
