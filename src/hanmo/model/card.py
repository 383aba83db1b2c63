"""The README.md of a model folder: a first card of facts, with room for what evaluation and audit will add."""

from collections.abc import Mapping

MARK = "<!-- written by hanmo save_model; remove this line to keep your own text -->"

_ELSEWHERE = """In transformers:

    from transformers import {loader}
    model = {loader}.from_pretrained("FOLDER")"""
LOADERS = {
    "text-generation": "AutoModelForCausalLM",
    "fill-mask": "AutoModelForMaskedLM",
    "feature-extraction": "AutoModel",
    "text2text-generation": "AutoModelForSeq2SeqLM",
}
"""What a model is for, in the words of the hub, and the class of transformers that loads it."""


def write_card(name: str, facts: Mapping[str, object], *, read_elsewhere: bool, task: str = "text-generation") -> str:
    """Markdown with the facts as a table and the lines that load the model."""
    writes = task in ("text-generation", "text2text-generation")
    ours = 'print(hanmo.load("FOLDER").generate("..."))' if writes else 'print(hanmo.load_encoder("FOLDER").embed(["..."]))'
    rows = "\n".join(f"| {key} | {value:,} |" if isinstance(value, int) else f"| {key} | {value} |" for key, value in facts.items())
    alone = "No other tool reads this layout: it is hanmo's own, for a model that has no place in the known families."
    return f"""---
library_name: {"transformers" if read_elsewhere else "hanmo"}
pipeline_tag: {task}
---
{MARK}
# {name}

| fact | value |
|---|---|
{rows}

## Use

    import hanmo
    {ours}

{_ELSEWHERE.format(loader=LOADERS[task]) if read_elsewhere else alone}

## Limits

Not evaluated and not audited by the act of saving: see the report of the run that made it.
"""
