"""A recipe becomes everything it asks for, stage by stage; whatever joins several rooms stands here.

In: a recipe, or the settings of one step. Out: a run folder; a plan; a measurement.
Reading order: recipe; fitting (what the text decides); networks, tokens and pretrain (documents to a trained network);
probing and forecast (what it will cost); measure, objective and calibrate; stage (what a stage is), stages (one file each),
life (which stages are done, which must be done again), child and __main__ (a stage in a process of its own).
Never here: no words of the command line, no formula; nothing that a single room can do alone.
"""
