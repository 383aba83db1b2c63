"""Personal data in a text: found, counted, masked or exchanged for a pseudonym.

In: a text. Out: the text without what was to be hidden, and counts by kind.
Reading order: redact, personal, personal_numbers, checksums, pseudonyms.
Never here: a found value is never written to a receipt, a report or a log.
"""
