"""Documents become arrays a network can be trained on.

In: encoded documents. Out: `Batch` by step number.
Reading order: store, encode, counts, pack, config, draws, special_tokens, objectives, stream.
Never here: no network, no loss, no hidden random state: a batch is a function of (seed, step, rank).
"""
