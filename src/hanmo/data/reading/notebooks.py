"""A notebook of Jupyter becomes two texts: its prose and its code.

In: the JSON of a notebook, version 3 or later. Out: the markdown of all cells, and the code of all cells, each in their order with a
blank line between; results and pictures are left out. The idea: a filter for prose should not see code, nor a model of code prose.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

from hanmo.data.reading.contents import DOCUMENT_BYTES, Content, ReadConfig, held, one_line, too_long, undecodable
from hanmo.data.reading.decode import decode
from hanmo.data.reading.inputs import Refused, Text

PARTS = {"markdown": "prose", "heading": "prose", "code": "code"}


def read_notebook(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """The prose and the code of a notebook, labelled `#prose` and `#code`, and a receipt for every broken cell."""
    data = held(content, DOCUMENT_BYTES * config.max_bytes)  # most of a notebook may be pictures
    try:
        decoded = decode(data)
        cells = _cells(json.loads(decoded.text))
    except UnicodeDecodeError as error:
        yield undecodable(content.label, data, error)
        return
    except (ValueError, RecursionError) as error:
        yield Refused(source=content.label, rule="malformed", detail=one_line(error))
        return
    found: dict[str, list[str]] = {"prose": [], "code": []}
    for number, cell in enumerate(cells, 1):
        part, words = _words(cell)
        if words is None:
            detail = "a cell without a kind, or whose source is no text"
            yield Refused(source=f"{content.label}#{number}", rule="malformed", detail=detail)
        elif part and words.strip():
            found[part].append(words.strip("\n"))
    for part, texts in found.items():
        text, label = "\n\n".join(texts), f"{content.label}#{part}"
        length = len(text.encode("utf-8", "surrogatepass"))
        if length > config.max_bytes:
            yield too_long(label, length, config.max_bytes)
        elif text:
            yield content.text(text, label=label, encoding=decoded.encoding, metadata={"part": part})


def _cells(notebook: Any) -> list[Any]:
    """All cells, those of every worksheet in version 3.

    Raises ValueError when there is no list of them.
    """
    book = cast("dict[str, Any]", notebook) if isinstance(notebook, dict) else {}
    sheets = cast("list[Any]", book["worksheets"]) if isinstance(book.get("worksheets"), list) else [book]
    lists = [cast("dict[str, Any]", sheet).get("cells") for sheet in sheets if isinstance(sheet, dict)]
    if not lists or not all(isinstance(cells, list) for cells in lists):
        raise ValueError("no notebook: a list of cells is missing")
    return [cell for cells in lists for cell in cast("list[Any]", cells)]


def _words(cell: Any) -> tuple[str, str | None]:
    """The part that a cell belongs to, empty for raw ones, and its words; None where it is broken."""
    if not isinstance(cell, dict):
        return "", None
    fields = cast("dict[str, Any]", cell)
    source = fields.get("source", fields.get("input"))
    if isinstance(source, list) and all(isinstance(line, str) for line in cast("list[Any]", source)):
        source = "".join(cast("list[str]", source))
    kind = fields.get("cell_type")
    broken = not isinstance(source, str) or not isinstance(kind, str)
    return ("", None) if broken else (PARTS.get(cast("str", kind), ""), cast("str", source))
