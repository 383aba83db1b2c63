"""The data card and the report of a data set, in English or Chinese, from facts only.

In: the manifest and the counts over the receipts. Out: `card.md` (who, whence, licence, how cleaned, how much) and
`report.html` (one page that opens offline). What is not known is said to be unknown.
"""

from collections.abc import Mapping
from typing import Any, Literal, cast

from hanmo.base.page import Block, Cell, Details, Facts, Paragraph, Section, Table, Tiles, page, show
from hanmo.data.read import SPLITS
from hanmo.data.receipts import Counts

Language = Literal["en", "zh"]
WORDS: dict[str, tuple[str, str]] = {
    "title": ("Data set", "数据集"),
    "sources": ("Sources", "来源"),
    "source": ("source", "来源"),
    "license": ("licence", "许可"),
    "citation": ("citation", "引用"),
    "language": ("language", "语言"),
    "unknown": ("not stated", "未注明"),
    "size": ("Size", "规模"),
    "split": ("split", "划分"),
    "train": ("train", "训练"),
    "validation": ("validation", "验证"),
    "test": ("test", "测试"),
    "documents": ("documents", "文档"),
    "characters": ("characters", "字符"),
    "words": ("words", "词"),
    "bytes": ("bytes", "字节"),
    "refused": ("Refused", "未收录"),
    "rule": ("rule", "规则"),
    "value": ("value", "测得值"),
    "threshold": ("threshold", "阈值"),
    "detail": ("detail", "说明"),
    "duplicate_of": ("duplicate of", "重复于"),
    "examples": ("examples", "例子"),
    "cleaning": ("How it was made", "如何制成"),
    "chosen": ("value", "取值"),
    "setting": ("setting", "设置"),
    "lengths": ("Lengths of kept documents", "收录文档的长度"),
    "from": ("from", "从"),
    "below": ("below", "到（不含）"),
    "kept": ("kept", "已收录"),
    "total": ("inputs", "输入"),
    "versions": ("Versions", "版本"),
    "nothing": ("Nothing was refused.", "没有文档被拒绝。"),
    "receipts": (
        "receipts.parquet has one row for every input: kept or not, by which rule, each measured value.",
        "receipts.parquet 为每个输入记一行：是否收录、依据哪条规则、各项测得值。",
    ),
    "words_note": (
        "A word is what rjieba cuts from a run of Chinese characters, and a run of letters and digits elsewhere.",
        "词：连续汉字由 rjieba 切分；其他文字为连续的字母与数字。",
    ),
    "split_note": (
        "A document's split depends on its own text and the seed alone, so it stays when the data grows; equal texts never straddle.",
        "文档归入哪一划分只取决于其文本与种子，数据增多时不变；相同文本不会跨划分。",
    ),
    "moved_note": (
        "{number} documents were moved so that no split stays empty; with more data they may go back.",
        "为避免划分为空，移动了 {number} 篇文档；数据增多后它们可能移回。",
    ),
    "inputs_note": (
        "{files} files, {bytes} bytes read; SHA-256 over their names and contents {sha256}",
        "读取 {files} 个文件，共 {bytes} 字节；名称与内容的 SHA-256 为 {sha256}",
    ),
}


def card(manifest: Mapping[str, Any], language: Language) -> str:
    """The data card as markdown."""
    say = _Words(language)
    inputs = manifest["inputs"]
    lines = [f"# {say('title')}: {names(manifest)}", "", f"## {say('sources')}", ""]
    for source in manifest["sources"]:
        facts = [f"{say(key)}: {source[key] or say('unknown')}" for key in ("license", "language", "citation")]
        lines.append(f"- **{source['name']}** — {'; '.join(facts)}")
    lines += ["", say("inputs_note", files=show(inputs["files"]), bytes=show(inputs["bytes"]), sha256=inputs["sha256"])]
    lines += ["", f"## {say('size')}", "", *_markdown(*_size(manifest, say)), "", say("words_note"), "", say("split_note")]
    lines += _moved(manifest, say)
    lines += ["", f"## {say('refused')}", ""]
    refused = manifest["receipts"]["refused"]
    lines += _markdown([say("rule"), say("documents")], list(refused.items())) if refused else [say("nothing")]
    lines += ["", say("receipts"), "", f"## {say('cleaning')}", ""]
    lines += _markdown([say("setting"), say("chosen")], settings(manifest))
    lines += ["", f"{say('versions')}: " + ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())]
    return "\n".join(lines) + "\n"


def report(manifest: Mapping[str, Any], counts: Counts, language: Language) -> str:
    """The report as one page of HTML."""
    say = _Words(language)
    inputs, receipts = manifest["inputs"], manifest["receipts"]
    total_bytes = sum(sums["bytes"] for sums in manifest["documents"].values())
    note = say("inputs_note", files=show(inputs["files"]), bytes=show(inputs["bytes"]), sha256=inputs["sha256"])
    tiles = [(show(receipts["kept"]), say("kept")), (show(receipts["total"]), say("total")), (show(total_bytes), say("bytes"))]
    sources: list[list[Cell]] = [
        [source["name"], source["license"] or say("unknown"), source["language"] or say("unknown"), source["citation"] or say("unknown")]
        for source in manifest["sources"]
    ]
    columns = [say("source"), say("license"), say("language"), say("citation")]
    notes: list[Block] = [Paragraph(text, quiet=True) for text in (say("words_note"), say("split_note"), *_moved(manifest, say)) if text]
    return page(
        f"{say('title')}: {names(manifest)}",
        [
            Section(say("size"), [Tiles(tiles), Table(*_size(manifest, say)), *notes]),
            Section(say("refused"), _refused(counts, say)),
            Section(say("lengths"), [_lengths(counts, say)]),
            Section(say("sources"), [Table(columns, sources), Paragraph(note, quiet=True)]),
            Section(say("cleaning"), [Facts(settings(manifest)), Facts(list(manifest["versions"].items()))]),
        ],
        language,
    )


def names(manifest: Mapping[str, Any]) -> str:
    """The names of all sources, as a title."""
    return ", ".join(source["name"] for source in manifest["sources"])


def settings(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every setting as (dotted key, value)."""
    found: list[tuple[str, str]] = []
    for key, value in cast("Mapping[str, object]", manifest["settings"]).items():
        if isinstance(value, Mapping):
            found += [(f"{key}.{name}", str(each)) for name, each in cast("Mapping[str, object]", value).items()]
        else:
            found.append((key, str(value)))
    return found


class _Words:
    """Fixed phrases in one language."""

    def __init__(self, language: Language) -> None:
        self._column = 0 if language == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        return WORDS[key][self._column].format(**values)


def _size(manifest: Mapping[str, Any], say: _Words) -> tuple[list[str], list[list[Cell]]]:
    measured = ("documents", "characters", "words", "bytes")
    rows: list[list[Cell]] = [[say(split), *(manifest["documents"][split][name] for name in measured)] for split in SPLITS]
    return [say("split"), *map(say, measured)], rows


def _moved(manifest: Mapping[str, Any], say: _Words) -> list[str]:
    number = len(manifest["moved_to_fill_a_split"])
    return ["", say("moved_note", number=number)] if number else []


def _refused(counts: Counts, say: _Words) -> list[Block]:
    if not counts.rules:
        return [Paragraph(say("nothing"))]
    rows: list[list[Cell]] = [[rule, number] for rule, number in counts.rules.most_common()]
    columns = [say(name) for name in EXAMPLE_COLUMNS]
    examples = [
        Details(f"{rule}: {say('examples')}", [Table(columns, [[_cell(row.get(name)) for name in EXAMPLE_COLUMNS] for row in found])])
        for rule, found in sorted(counts.examples.items())
    ]
    return [Table([say("rule"), say("documents")], rows), *examples, Paragraph(say("receipts"), quiet=True)]


EXAMPLE_COLUMNS = ("source", "value", "threshold", "detail", "duplicate_of")


def _cell(value: object) -> Cell:
    return value if isinstance(value, str | int | float) else None


def _lengths(counts: Counts, say: _Words) -> Table:
    """Documents by length, each row twice as long as the one before."""
    most = max(counts.lengths.values(), default=1)
    rows: list[list[Cell]] = [
        [2**power, 2 ** (power + 1), counts.lengths[power], "█" * round(40 * counts.lengths[power] / most)]
        for power in range(min(counts.lengths, default=0), max(counts.lengths, default=-1) + 1)
    ]
    return Table([f"{say('characters')} {say('from')}", say("below"), say("documents"), ""], rows)


def _markdown(columns: list[str], rows: Any) -> list[str]:
    body = ["| " + " | ".join(show(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]
