"""A configuration and a machine become parameters, FLOPs, memory, minutes and money.

In: configuration, measured rates. Out: a forecast, later compared with the fact.
Reading order: parameters, compute, defaults (what suits a text), memory, machine, estimate.
Never here: no torch, nothing is trained.
"""
