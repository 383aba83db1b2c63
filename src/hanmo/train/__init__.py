"""A model and batches become a better model.

In: a network, batches, a `validate` function. Out: a run folder with checkpoints, metrics and the best model.
Reading order: config, schedule, updates, optimizer, checkpoint, progress, distributed, loop, probe, pretrain.
Never here: no file formats of data sets, no evaluation of its own: `validate` comes as an argument.
"""
