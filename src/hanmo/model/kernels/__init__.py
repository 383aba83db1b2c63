"""Fused passes over memory for training, and whole blocks in few bits for answering, in C++, compiled on the machine that runs them.

In: bf16 tensors on the CPU. Out: what the formulas in norms, mlp, positions, attention and likelihood give, and their gradients;
forward and product: what quantized says; guided_schedule: how threads share that out.
Reading order: library, functions; then the .cpp files.
Never here: a matrix product for training (torch's are at the machine's limit), or the only home of a formula; torch alone gives the
same numbers, slower.
"""
