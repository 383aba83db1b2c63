"""Files become clean documents, and the refused ones keep their reasons.

In: files and folders. Out: a data set folder (`documents/`, `receipts.parquet`, `manifest.json`, `card.md`, `report.html`).
Reading order: prepare; then inputs, scan, decode, extract, read, normalize, redact (personal, personal_numbers, checksums,
pseudonyms), filters, duplicates, groups, mix, split, folds, augment (counterfactual, wordlists), copies, shards, receipts, card;
tables (Parquet) and parallel (processes) serve them; catalogue names open corpora.
Never here: no torch, no tokenizer, nothing dropped without a receipt.
"""
