"""A prompt becomes tokens.

In: a model, a prompt, sampling options. Out: text, ids, the reason it stopped.
Reading order: settings, options, penalties, sample, stop, schema, closing, unique, constrain, fill, prompt, continuation, reader,
scored, prefix_cache, scheduler, search, speculate, engine, worker, embed, loaded.
Never here: no training, no HTTP.
"""
