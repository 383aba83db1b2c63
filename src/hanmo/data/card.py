"""The data card of a data set, in English or Chinese, from facts only.

In: the manifest and what was found. Out: `card.md`: whence, licence, how much, in which languages, what was left out and why, how
cleaned; and the tables that the report shows too. What is not known is said to be unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from hanmo.base.page import Cell, show
from hanmo.data.phrases import Language, Phrases
from hanmo.data.reading.read import SPLITS
from hanmo.data.statistics import Findings, Group

Rows = list[list[Cell]]
MOST_GROUPS = 20


def card(manifest: Mapping[str, Any], found: Findings, language: Language) -> str:
    """The data card as markdown."""
    say = Phrases(language)
    lines = [f"# {say('title')}: {names(manifest)}", "", f"## {say('sources')}", ""]
    for source in manifest["sources"]:
        facts = [f"{say(key)}: {source[key] or say('unknown')}" for key in ("license", "language", "citation")]
        lines.append(f"- **{source['name']}** — {'; '.join(facts)}")
    lines += ["", inputs_note(manifest, say)]
    lines += ["", f"## {say('size')}", "", *_markdown(*size(manifest, say)), "", say("words_note"), "", say("split_note")]
    lines += ["", *moved(manifest, say)] if moved(manifest, say) else []
    lines += ["", f"## {say('languages')}", "", *_markdown(*languages(found, say)), "", say("languages_note")]
    lines += ["", f"## {say('refused')}", ""]
    refused = manifest["receipts"]["refused"]
    lines += _markdown([say("rule"), say("documents")], list(refused.items())) if refused else [say("nothing")]
    lines += ["", say("receipts")]
    for heading, table in (
        ("diversity", diversity(found, say)),
        ("duplicates", duplicates(found, say)),
        ("personal", personal(found, say)),
    ):
        lines += ["", f"## {say(heading)}", "", *_markdown(*table)] if table[1] else []
    lines += ["", f"## {say('cleaning')}", "", *_markdown([say("setting"), say("chosen")], settings(manifest))]
    lines += ["", *_markdown(*thresholds(manifest, say))] if manifest.get("thresholds") else []
    lines += ["", f"{say('versions')}: " + ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())]
    return "\n".join(lines) + "\n"


def names(manifest: Mapping[str, Any]) -> str:
    """The names of all sources, as a title."""
    return ", ".join(source["name"] for source in manifest["sources"])


def settings(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every setting as (dotted key, value), but for those left to a preset."""
    found: list[tuple[str, str]] = []
    for key, value in cast("Mapping[str, object]", manifest["settings"]).items():
        if isinstance(value, Mapping):
            pairs = cast("Mapping[str, object]", value).items()
            found += [(f"{key}.{name}", _setting(each)) for name, each in pairs if key != "filters" or each != "none"]
        else:
            found.append((key, _setting(value)))
    return found


def inputs_note(manifest: Mapping[str, Any], say: Phrases) -> str:
    """How much was read, and its hash."""
    inputs = manifest["inputs"]
    return say("inputs_note", files=show(inputs["files"]), bytes=show(inputs["bytes"]), sha256=inputs["sha256"])


def size(manifest: Mapping[str, Any], say: Phrases) -> tuple[list[str], Rows]:
    """Documents, characters, words and bytes of each split."""
    measured = ("documents", "characters", "words", "bytes")
    rows: Rows = [[say(split), *(manifest["documents"][split][name] for name in measured)] for split in SPLITS]
    return [say("split"), *map(say, measured)], rows


def moved(manifest: Mapping[str, Any], say: Phrases) -> list[str]:
    """The note on documents that were moved between splits, if any."""
    number = len(manifest["moved_to_fill_a_split"])
    return [say("moved_note", number=number)] if number else []


def languages(found: Findings, say: Phrases) -> tuple[list[str], Rows]:
    """Inputs and kept documents by language."""
    groups = {name or say("no_language"): group for name, group in found.statistics.languages.items()}
    return [say("recognised"), *_group_columns(say)], grouped(groups, say)


def origins(found: Findings, say: Phrases) -> tuple[list[str], Rows]:
    """Inputs and kept documents by source or host."""
    return [say("origin"), *_group_columns(say)], grouped(found.statistics.origins, say)


def _group_columns(say: Phrases) -> list[str]:
    return [say("inputs"), say("kept"), say("characters")]


def grouped(groups: Mapping[str, Group], say: Phrases) -> Rows:
    """The largest groups, by kept characters, and the rest as one row."""
    ordered = sorted(groups.items(), key=lambda pair: (-pair[1].characters, -pair[1].inputs, pair[0]))
    rows: Rows = [[name, group.inputs, group.kept, group.characters] for name, group in ordered[:MOST_GROUPS]]
    if rest := [group for _, group in ordered[MOST_GROUPS:]]:
        inputs, kept = sum(group.inputs for group in rest), sum(group.kept for group in rest)
        rows.append([say("rest", number=len(rest)), inputs, kept, sum(group.characters for group in rest)])
    return rows


def diversity(found: Findings, say: Phrases) -> tuple[list[str], Rows]:
    """What the sample says."""
    sample = found.diversity
    pairs: list[tuple[str, Cell]] = [(say("sampled"), sample.documents), (say("sampled_words"), sample.words)]
    pairs += [(say(name), getattr(sample, name)) for name in ("type_token_ratio", "compression_ratio")]
    pairs += [(say("novelty", n=n), share) for n, share in sample.novelty.items()]
    return [say("diversity"), ""], [[name, value] for name, value in pairs if value is not None]


def duplicates(found: Findings, say: Phrases) -> tuple[list[str], Rows]:
    """Copies that were left out, and the documents with most of them."""
    copies = found.statistics.copies
    pairs: list[tuple[str, Cell]] = [(say("copies"), sum(copies.values())), (say("clusters"), len(copies)), *found.statistics.largest]
    return [say("duplicates"), ""], [[name, number] for name, number in pairs] if copies else []


def personal(found: Findings, say: Phrases) -> tuple[list[str], Rows]:
    """Personal data by kind."""
    rows: Rows = [[kind, places, documents] for kind, (places, documents) in sorted(found.statistics.personal.items())]
    return [say("kind"), say("places"), say("documents")], rows


def thresholds(manifest: Mapping[str, Any], say: Phrases) -> tuple[list[str], Rows]:
    """The thresholds of the rules that could refuse, for Chinese texts and for others."""
    other, chinese = manifest["thresholds"]["other"], manifest["thresholds"]["chinese"]
    rows: Rows = [[rule, other.get(rule), chinese.get(rule)] for rule in dict.fromkeys((*other, *chinese))]
    return [say("rule"), say("thresholds_other"), say("thresholds_chinese")], rows


def _setting(value: object) -> str:
    return ", ".join(map(str, cast("list[object]", value))) or "–" if isinstance(value, list) else str(value)


def _markdown(columns: Sequence[str], rows: Any) -> list[str]:
    body = ["| " + " | ".join(show(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]
