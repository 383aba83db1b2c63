"""Models of the Hugging Face hub, by name: `OWNER/NAME`, or `OWNER/NAME/FILE.gguf` for one file of it, with the others of its set.

In: a name. Out: a local folder or file in the hub library's own cache, which serves without a network once filled. The mirror
of HF_ENDPOINT, the cache of HF_HOME and HF_HUB_OFFLINE hold as everywhere. Only safetensors, tokenizers and settings are
fetched: pickled weights and code stay where they are.
"""

import re
from pathlib import Path

from hanmo.base.errors import MissingExtraError, ModelError
from hanmo.base.progress import say
from hanmo.convert.gguf_split import parts_of

PIECES = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "source.spm", "target.spm"]
PATTERNS = ["*.json", "*.jinja", "*.safetensors", "vocab.txt", "merges.txt", *PIECES, "README.md", "LICENSE*"]
LEFT_OUT = ["*/*", "*.msgpack.json"]
_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}(/[\w./-]{1,200}\.gguf)?")


def is_hub_name(name: str) -> bool:
    """Whether a text has the form of a name on the hub.

    >>> [is_hub_name(each) for each in ("HuggingFaceTB/SmolLM2-135M", "a/b/c-q4_0.gguf", "a/b/c", "../b", "model")]
    [True, True, False, False, False]
    """
    return bool(_NAME.fullmatch(name)) and not any(part in (".", "..") for part in name.split("/"))


def fetch_from_hub(name: str) -> Path:
    """The local copy of a model, fetched when it is not in the hub's cache.

    Raises MissingExtraError without the hub's library, ModelError when the model can be had from nowhere.
    """
    try:
        from huggingface_hub import hf_hub_download, snapshot_download
    except ImportError as error:
        raise MissingExtraError("huggingface-hub", "hub") from error

    owner, model, *inside = name.split("/")

    def bring(*, local: bool) -> Path:
        if inside:
            parts = [each.as_posix() for each in parts_of(Path(*inside))]
            found, *_ = [hf_hub_download(f"{owner}/{model}", each, local_files_only=local) for each in parts]
            return Path(found)
        found = snapshot_download(f"{owner}/{model}", allow_patterns=PATTERNS, ignore_patterns=LEFT_OUT, local_files_only=local)
        return Path(found)

    try:
        found = bring(local=True)
        if inside or (found / "config.json").is_file():
            return found
    except (OSError, ValueError):  # not in the cache
        pass
    say(f"fetching {name} from the hub")
    try:
        found = bring(local=False)
    except (OSError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())[:160]
        raise ModelError(
            f"{name} is neither here nor on the hub ({type(error).__name__}: {words}): check the name, the network and HF_ENDPOINT, "
            "or give a folder, a GGUF file or a name that hanmo fetch --list shows"
        ) from error
    if not inside and not any(found.glob("*.safetensors")):
        raise ModelError(f"{name} has no safetensors on the hub: pickled weights are not fetched, as they can run any code when opened")
    return found
