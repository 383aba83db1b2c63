"""Fused passes over memory, in C++, compiled on the machine that trains; torch alone gives the same numbers, slower.

In: bf16 tensors on the CPU. Out: what the formulas in norms, mlp, positions, attention and likelihood give, and their gradients.
Reading order: library, functions; then the .cpp files.
Never here: a matrix product over weights (torch's are at the machine's limit), or the only home of a formula.
"""
