"""The stages of `hanmo run`, one file each: a `STAGE` that says what it needs, which settings it reads, what it makes.

In: a recipe and its run folder. Out: files of the run folder.
Reading order: prepare, tokenizer, plan, baselines, pretrain, evaluate, sample, report. A new file with a `STAGE` is a new stage.
Never here: nothing that knows of stages it does not name.
"""
