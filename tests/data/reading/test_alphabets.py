import numpy as np
import pytest

from hanmo.data.reading.alphabets import LETTERS, OTHER_SCRIPTS, is_latin, mean_spelled, table, weigh_letters

ASCII = float(np.log(1 / 100))


def score(text: str, language: str) -> float:
    return weigh_letters(text, [language], ASCII)[language].score


@pytest.mark.parametrize("language", LETTERS)
def test_the_letters_of_a_language_are_likelier_the_more_frequent_they_are(language: str) -> None:
    letters = dict.fromkeys(LETTERS[language])
    logs = table(language)[[ord(letter) for letter in letters]]
    assert (np.diff(logs[:5]) <= 0).all() and np.exp(logs).sum() <= 1.0
    assert is_latin(language) == (language not in OTHER_SCRIPTS)


@pytest.mark.parametrize(
    ("likely", "unlikely", "language"),
    [
        ("привет", "прИвет", "ru"),
        ("привет", "оПХБЕР", "ru"),
        ("ПРИВЕТ", "ПрИвЕт", "ru"),
        ("шум и гам", "шyм и гaм", "ru"),
        ("«речь»", "ре«чь»", "ru"),
        ("λόγος", "λόγςο", "el"),
        ("שלום", "םולש", "he"),
        ("marché", "march\u00ba", "fr"),
        ("l’été", "l”été", "fr"),
        ("żółw", "¿ó³w", "pl"),
        ("kaş göz", "kaþ göz", "tr"),
    ],
)
def test_capitals_signs_and_final_letters_have_their_places(likely: str, unlikely: str, language: str) -> None:
    assert score(likely, language) > score(unlikely, language)


def test_a_latin_text_is_not_made_of_accents_alone() -> None:
    assert weigh_letters("plain", ["fr"], ASCII)["fr"].beyond == 0
    means = [weigh_letters(text, ["fr"], ASCII)["fr"].mean for text in ("été très là fête garçon hôtel île où", "éèàêçôîù")]
    assert means[0] > means[1]


def test_the_mean_over_all_alphabets_tells_text_from_noise() -> None:
    assert mean_spelled("Утром на рынке уже шумно", ASCII) > -5 > -9 > mean_spelled("\u0f40\u0e9a\u1203", ASCII)
    assert mean_spelled("", ASCII) == 0.0
