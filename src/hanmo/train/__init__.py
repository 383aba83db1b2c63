"""A model and batches become a better model.

In: a network, batches, a loss, a `validate` function. Out: a run folder with checkpoints, metrics and the best model.
Reading order: config, schedule, updates, optimizer, networks, losses, checkpoint, progress, distributed, loop, probe, session,
validation, pretrain.
Never here: no file formats of data sets, no evaluation of its own: what is minimised and what is measured come as arguments.
"""
