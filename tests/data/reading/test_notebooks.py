import json
from pathlib import Path

import pytest

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import format_of, read_unit


def cell(kind: str, source: object, **more: object) -> dict[str, object]:
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


CELLS = [
    cell("markdown", ["# 一个标题\n", "雨下了一夜。"]),
    cell("code", "import os\nprint(1)\n", outputs=[{"data": {"image/png": "A" * 2000}}]),
    cell("raw", "for the printer"),
    cell("markdown", "The second paragraph."),
    cell("code", ["x = 1"]),
]


def read(path: Path, notebook: object, **settings) -> list[Text | Refused]:
    path.write_text(notebook if isinstance(notebook, str) else json.dumps(notebook, indent=1), "utf-8")
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


@pytest.mark.parametrize("name", ["a.ipynb", "a.json", "a.txt", "notebook"])
def test_prose_and_code_of_a_notebook_come_apart(tmp_path: Path, name: str) -> None:
    entries = read(tmp_path / name, {"cells": CELLS, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    assert [(entry.source, entry.text, entry.format) for entry in entries if isinstance(entry, Text)] == [
        (f"{name}#prose", "# 一个标题\n雨下了一夜。\n\nThe second paragraph.", "notebook"),
        (f"{name}#code", "import os\nprint(1)\n\nx = 1", "notebook"),
    ]
    assert [entry.metadata["part"] for entry in entries if isinstance(entry, Text)] == ["prose", "code"]


def test_an_old_notebook_has_worksheets(tmp_path: Path) -> None:
    old = {"worksheets": [{"cells": [{"cell_type": "heading", "level": 1, "source": "A title"}, {"cell_type": "code", "input": "x"}]}]}
    entries = read(tmp_path / "a.ipynb", {"nbformat": 3, **old})
    assert [entry.text for entry in entries if isinstance(entry, Text)] == ["A title", "x"]


def test_a_broken_cell_costs_itself(tmp_path: Path) -> None:
    entries = read(tmp_path / "a.ipynb", {"cells": [*CELLS, 5, cell("code", 7), cell("markdown", ["a", 1]), {"cell_type": []}]})
    assert [entry.source for entry in entries if isinstance(entry, Refused)] == [f"a.ipynb#{number}" for number in (6, 7, 8, 9)]
    assert sum(isinstance(entry, Text) for entry in entries) == 2


@pytest.mark.parametrize(
    ("notebook", "rule"),
    [
        ('{"cells": [{"cell_type": "code", "source": "cut', "malformed"),
        ({"cells": 5}, "malformed"),
        ({"cells": [], "nbformat": 4}, "empty"),
        ({"worksheets": [5]}, "malformed"),
        ('{"cells": ' + "[" * 100_000, "malformed"),
        ({"cells": [cell("markdown", "x" * 200)]}, "max_bytes"),
        ({"cells": [cell("code", "x", outputs=["y" * 2000])]}, "max_bytes"),
        ("words", "wrong_format"),
    ],
    ids=["cut", "no list", "no cell", "no sheet", "deep", "a long cell", "many bytes", "words"],
)
def test_what_is_no_notebook_has_one_receipt(tmp_path: Path, notebook: object, rule: str) -> None:
    entries = read(tmp_path / "a.ipynb", notebook, max_bytes=100 if rule == "max_bytes" else 10**6)
    assert [entry.rule for entry in entries if isinstance(entry, Refused)] == [rule] and len(entries) == 1
