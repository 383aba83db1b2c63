"""A prompt becomes tokens.

In: a model, a prompt, sampling options. Out: text, ids, the reason it stopped.
Reading order: options, sample, stop, reader, engine, loaded, embed.
Never here: no training, no HTTP.
"""
