"""A data set becomes token stores, made where they are missing, and a run remembers what it was made from."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hanmo.base.errors import ConfigError, DataError, StorageError
from hanmo.base.progress import say
from hanmo.base.runs import Run
from hanmo.base.runtime import available_cores
from hanmo.base.storage import read_json, write_json
from hanmo.batches.counts import write_counts
from hanmo.batches.store import TokenStore
from hanmo.data.reading.read import is_dataset, read_dataset
from hanmo.tokenizer.load import Tokenizer


def encode_dataset(data: Path, tokenizer: Tokenizer, out: Path, splits: Sequence[str], workers: int = 0) -> dict[str, TokenStore]:
    """Token stores of some splits, made where they are missing, and the tokens of each document beside the receipts."""
    stores = {
        split: TokenStore.build(
            out / split,
            read_dataset(data, split),
            tokenizer.encode_batch,
            tokenizer.eot_id,
            tokenizer.vocab_size,
            tokenizer=tokenizer.fingerprint,
            workers=workers or available_cores(),
        )
        for split in splits
    }
    try:
        write_counts(data, stores.values(), tokenizer.fingerprint)
    except StorageError as error:
        say(f"the tokens of each document are not kept beside the receipts: {error}")
    return stores


def token_stores(data: Path, tokenizer: Tokenizer, folder: Path) -> dict[str, TokenStore]:
    """Encoded train and validation documents, made where they are missing.

    Raises DataError when one of the two has no documents.
    """
    splits = ("train", "validation")
    if is_dataset(data):
        sums: Mapping[str, Mapping[str, int]] = read_json(data / "manifest.json").get("documents", {})
        for split in splits:
            if sums.get(split, {}).get("documents") == 0:
                raise DataError(
                    f"{data} has no {split} documents: prepare it again with more files, with larger shares under split, "
                    "or with --read.split-on passage, which cuts long texts"
                )
    return encode_dataset(data, tokenizer, folder, splits)


def check_parents(folder: Run, stores: Mapping[str, TokenStore], tokenizer: Tokenizer) -> None:
    """Note at a run's first start what it is trained on.

    Raises ConfigError when a later start would go on with something else.
    """
    made_from = {**{name: store.fingerprint for name, store in stores.items()}, "tokenizer": tokenizer.fingerprint}
    if folder.config.exists() and folder.parents.exists():
        earlier = read_json(folder.parents)
        for name, digest in made_from.items():
            if earlier.get(name) != digest:
                is_tokenizer = earlier.get("tokenizer") != made_from["tokenizer"]
                other = "tokenizer" if is_tokenizer else f"{name} documents"
                raise ConfigError(f"{folder.folder} holds a run with another {other}: choose another --out, or remove the folder")
    write_json(folder.parents, made_from)
