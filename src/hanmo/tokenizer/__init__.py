"""Text becomes ids and ids become text.

In: documents. Out: a folder with `tokenizer.json`, its vocabulary by frequency, encoded ids.
Reading order: special, config, train, sample, patterns, wordpiece, unigram, words, piece_merges, spelling, spoken, sentencepiece,
vocabulary_files, load, rows, ends, template_tree, templates, chat, vocabularies, extend, merges, fertility.
Never here: no torch; no text is changed on the way unless the kind of tokenizer says so.
"""
