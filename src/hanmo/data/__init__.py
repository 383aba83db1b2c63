"""Files become clean documents, and the refused ones keep their reasons.

In: files and folders. Out: a data set folder (`documents/`, `receipts.parquet`, `manifest.json`, `card.md`, `report.html`).
Reading order: prepare, the whole walk; on the way reading, cleaning, privacy, duplicates, mixing; what each worker
writes in shards, a column of it in verdicts; decisions about all documents; buckets, the files of those kept;
receipts, replay and suspicious_rules; statistics, diversity, excerpts, findings, phrases, steps, card and report tell what was
made; tables (Parquet), parallel (processes), budget (memory) and spill (what it does not hold) serve them all; catalogue
names open corpora.
Never here: no torch, no tokenizer, nothing dropped without a receipt.
"""
