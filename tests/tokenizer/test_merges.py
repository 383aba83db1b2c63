"""Growing byte pairs: the counts of a plain recount, merges in order, words that become whole."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hanmo.tokenizer.merges import Ranks, grow, join, neighbours

LETTERS = st.lists(st.sampled_from("aab"), min_size=1, max_size=8).map(tuple)
WORDS = st.dictionaries(LETTERS, st.integers(1, 5), min_size=1, max_size=8)


def fits(token: str) -> bool:
    return len(token) <= 4


def recounted(words, known, add, least):
    """The same rule, everything counted again after each merge."""
    words, known, found = dict(words), set(known), []
    state = [(list(word), count) for word, count in words.items()]
    while len(found) < add:
        counts = Counter()
        for word, count in state:
            for pair in neighbours(word):
                counts[pair] += count
        best = sorted(
            (-count, pair) for pair, count in counts.items() if count >= least and pair[0] + pair[1] not in known and fits("".join(pair))
        )
        if not best:
            break
        count, pair = best[0]
        found.append((pair, -count))
        known.add("".join(pair))
        state = [(join(word, pair), count) for word, count in state]
    return found


@given(words=WORDS, add=st.integers(0, 6), least=st.integers(1, 3))
def test_growing_gives_the_merges_of_a_plain_recount(words, add, least):
    assert grow(words, set("ab"), add, least, fits) == recounted(words, set("ab"), add, least)


@given(words=WORDS)
def test_each_merge_saves_the_tokens_it_says(words):
    state = {word: list(word) for word in words}
    for pair, saved in grow(words, set("ab"), 5, 1, fits):
        before = sum(len(state[word]) * count for word, count in words.items())
        state = {word: join(pieces, pair) for word, pieces in state.items()}
        assert before - sum(len(state[word]) * count for word, count in words.items()) == saved


@given(first=LETTERS, second=LETTERS)
def test_a_chain_makes_a_word_one_token_and_leaves_earlier_ones_whole(first, second):
    ranks = Ranks([("a", "b"), ("b", "a")])
    ranks.add(ranks.chain(first))
    assert ranks.apply(first) == ["".join(first)]
    wanting = ranks.chain(second)
    assert ranks.chain(second) == wanting
    ranks.add(wanting)
    assert ranks.apply(second) == ["".join(second)]
    assert ranks.apply(first) == ["".join(first)]
    assert ranks.merges[:2] == [("a", "b"), ("b", "a")]
