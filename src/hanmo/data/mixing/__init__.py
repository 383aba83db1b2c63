"""Which documents stand where, and how often.

In: documents and their keys. Out: split, fold, weight and changed copies of each.
Reading order: groups, mix, split, folds, augment with counterfactual and wordlists, copies.
Never here: no choice depends on the order of files or the number of workers.
"""
