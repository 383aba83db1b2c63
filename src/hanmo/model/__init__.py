"""Ids become logits, and logits become log-probabilities.

In: ids. Out: logits, scores; the Hugging Face folder.
Reading order: config, attention, positions, norms, mlp, linear, kernels, cache, likelihood, next_token, decoder, trace, embedder,
without_weights, rounding, packed, quantized, encoder_config, cross_attention, block, encoder, encoder_decoder, pooling, ngram,
softmax_regression, recurrent, scoring, families, foreign, shards, card, store.
Never here: no training loop, no text, no sampling.
"""
