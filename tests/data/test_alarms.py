from collections import Counter

from hanmo.data.alarms import Alarm, alarms, loud
from hanmo.data.receipts import Counts


def counted(kept: int, **rules: int) -> Counts:
    return Counts(total=kept + sum(rules.values()), kept=kept, rules=Counter(rules))


def test_a_rule_that_takes_most_of_what_it_sees_is_told() -> None:
    assert alarms(counted(4, near_duplicate=34)) == [Alarm("near_duplicate", 34, 38)]
    assert alarms(counted(4, near_duplicate=34, min_words=100)) == [Alarm("min_words", 100, 138), Alarm("near_duplicate", 34, 38)]
    assert loud(Alarm("near_duplicate", 34, 38)).startswith("WARNING: near_duplicate left out 34 of 38 documents (89%)")


def test_half_or_a_few_or_what_was_asked_for_alarm_nobody() -> None:
    assert alarms(counted(34, near_duplicate=34)) == alarms(counted(1, min_words=3)) == alarms(counted(1, mixed_out=100)) == []
    assert alarms(counted(0)) == []
