from hanmo.tokenizer.config import MARKS
from hanmo.tokenizer.special import MASKS, MIDDLES, SENTINEL, mask_id, middle_marks, sentinel_ids


def test_what_a_tokenizer_is_trained_with_is_what_is_found_in_it() -> None:
    ids = {name: id for id, name in enumerate(name for names in MARKS.values() for name in names)}
    assert mask_id(ids) == 0
    assert len(sentinel_ids(ids)) == len(MARKS["span_corruption"])
    assert middle_marks(ids) == tuple(ids[name] for name in MARKS["fill_in_the_middle"])


def test_every_family_is_told_from_every_other() -> None:
    names = [name for marks in MIDDLES for name in marks]
    ids = {name: id for id, name in enumerate(names)}
    assert len(ids) == len(names)
    for number, marks in enumerate(MIDDLES):
        alone = {name: ids[name] for name in marks}
        assert middle_marks(alone) == (3 * number, 3 * number + 1, 3 * number + 2)
    assert [mask_id({name: 5}) for name in MASKS] == [5, 5]


def test_the_wide_bars_of_deepseek_are_known() -> None:
    ids = {f"<\uff5cfim\u2581{name}\uff5c>": id for id, name in enumerate(("begin", "hole", "end"))}
    assert middle_marks(ids) == (0, 1, 2)


def test_a_family_that_lacks_one_mark_has_none_and_sentinels_end_at_a_gap() -> None:
    assert middle_marks({MIDDLES[0][0]: 0, MIDDLES[0][1]: 1, MIDDLES[1][2]: 2}) is None
    assert sentinel_ids({SENTINEL.format(number): number for number in (1, 2)}) == ()
    assert mask_id({}) is None
