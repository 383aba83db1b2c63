"""A model and batches become a better model.

In: a network, batches, a `validate` function. Out: a run folder with checkpoints, metrics and the best model.
Reading order: schedule, optimizer, checkpoint, progress, distributed, loop, pretrain.
Never here: no file formats of data sets, no evaluation of its own: `validate` comes as an argument.
"""
