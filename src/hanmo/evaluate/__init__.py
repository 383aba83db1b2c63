"""A model becomes numbers with intervals.

In: models, documents. Out: bits per byte, perplexity, paired comparisons, the report.
Reading order: measurement, uncertainty, perplexity, objective, compare, phrases, curves, report.
Never here: no training; no number without its interval.
"""
