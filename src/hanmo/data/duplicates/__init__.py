"""Texts that say the same, within a data set and between a data set and an examination.

In: texts. Out: clusters of near-duplicates with the copy that is kept, and items of an evaluation file that were hit.
Reading order: exact, letters, signatures, compare, opened, clusters, contamination, comparison.
Never here: nothing is a duplicate by its signature alone; a pair is compared letter by letter.
"""
