"""Files become clean documents, and the refused ones keep their reasons.

In: files and folders. Out: a data set folder (`documents/`, `receipts.parquet`, `manifest.json`, `card.md`, `report.html`).
Reading order: read, extract, normalize, filters, duplicates, split, receipts, prepare, card.
Never here: no torch, no tokenizer, nothing dropped without a receipt.
"""
