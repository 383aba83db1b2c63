"""A prompt becomes tokens.

In: a model, a prompt, sampling options. Out: text, ids, the reason it stopped.
Reading order: sample, stop, engine.
Never here: no training, no HTTP.
"""
