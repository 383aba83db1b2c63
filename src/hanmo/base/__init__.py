"""The common words every room speaks: errors, configuration, records, run folders.

In: nothing. Out: `HanmoError` and its tree, `Document`/`Example`/`Batch`, recipes, atomic files, run folders.
Reading order: errors, records, config, storage, folders, runs, progress, runtime, page, phrases.
Never here: no torch, no network, no knowledge of any stage.
"""
