"""A model of any form written as a folder of its own, for `hanmo import` and `hanmo export --to hf`.

In: what a user calls a model. Out: a folder that this tool, transformers and vLLM read. Weights are written anew from what was
read and checked, never copied as bytes.
"""

from pathlib import Path

from hanmo.base.storage import write_text
from hanmo.convert.sources import local_model
from hanmo.model.store import load_model, read_generation, save_model
from hanmo.tokenizer.chat import TEMPLATE_FILE, read_template


def write_folder_of(source: str | Path, out: Path) -> dict[str, object]:
    """Write the model behind `source` to `out`; gives its path, layout and bytes.

    Raises ModelError for what is no model.
    """
    folder = local_model(source)
    network = load_model(folder, dtype=None)
    tokenizer = folder if (folder / "tokenizer.json").is_file() else None
    save_model(network, out, tokenizer_folder=tokenizer, generation=read_generation(folder), facts={"imported from": Path(source).name})
    if tokenizer and (template := read_template(folder)) and not (out / TEMPLATE_FILE).exists():
        write_text(out / TEMPLATE_FILE, template)
    return {"path": str(out), "bytes": sum(each.stat().st_size for each in out.rglob("*") if each.is_file())}
