from hanmo.data.reading.tongues import likely_languages


def test_the_likeliest_languages_come_first_with_their_probabilities() -> None:
    found = likely_languages("Старик раскладывает овощи,\nа дети бегают между рядами.", 5)
    assert found[0][0] == "ru" and found[0][1] > 0.5 and len(found) == 5
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert likely_languages("The market is full of people.")[0][0] == "en"
