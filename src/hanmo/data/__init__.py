"""Files become clean documents, and the refused ones keep their reasons.

In: files and folders. Out: a data set folder (`documents/`, `receipts.parquet`, `manifest.json`, `card.md`, `report.html`).
Reading order: prepare; then inputs (remote: those behind a URL), scan, formats, decode (charset: the evidence), streams,
contents, read with its readers rows, extract and archives, normalize (mojibake: Chinese read wrongly), lines, clean (with
boilerplate, chinese), redact (personal, personal_numbers, checksums, pseudonyms), words, language, repetition, measures,
filters; letters, duplicates, signatures, clusters; items, contamination; groups, mix, split, folds, augment (counterfactual,
wordlists), copies, shards, receipts, replay; statistics, diversity, phrases, card and report tell what was made; tables
(Parquet) and parallel (processes) serve them; catalogue names open corpora.
Never here: no torch, no tokenizer, nothing dropped without a receipt.
"""
