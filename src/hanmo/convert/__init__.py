"""Foreign forms of a model become ours, and ours theirs.

In: a GGUF file. Out: its tensors and metadata.
Reading order: gguf_blocks, gguf_reader, gguf_writer.
Never here: no pickle, nothing allocated on a file's word, no code of a model run.
"""
