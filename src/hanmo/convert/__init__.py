"""Foreign forms of a model become our folder, and our folder theirs.

In: whatever a user calls a model: a folder, a run, a GGUF file, a fetched name, a hub name. Out: a model folder, a GGUF file.
Reading order: sources, hub, folders, parity, quantize; gguf and its parts: gguf_reader, gguf_split, gguf_writer, gguf_blocks, gguf_names,
gguf_rope, gguf_patterns, gguf_tokenizer.
Never here: no pickle, nothing allocated on a file's word, no code of a model run.
"""
