"""A text is mended, measured, and judged.

In: a text and its language. Out: the cleaned text, its measured values, the rule that drops it.
Reading order: lines (those that recur), clean with boilerplate and chinese, words, language, repetition, measures, filters.
Never here: no rule counts Chinese words by spaces, no value is measured twice in two ways.
"""
