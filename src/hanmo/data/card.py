"""The data card of a data set, in English or Chinese, from facts only.

In: the manifest and what was found. Out: `card.md`: who, whence, licence, how much, in which languages, what was left out and why,
how cleaned; and the tables that the report shows too. What is not known is said to be unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from hanmo.base.page import Cell, Language, show
from hanmo.base.phrases import Phrases
from hanmo.data.findings import Findings
from hanmo.data.phrases import data_phrases
from hanmo.data.reading.read import SPLITS
from hanmo.data.statistics import Group
from hanmo.data.steps import steps

Rows = list[list[Cell]]
Listed = tuple[list[str], Rows]
MOST_GROUPS = 20
MISSED = 0.005  # of a share; a difference that rounding does not explain


def card(manifest: Mapping[str, Any], found: Findings, language: Language) -> str:
    """The data card as markdown."""
    say = data_phrases(language)
    lines = [f"# {say.named(say('title'), names(manifest))}", "", f"## {say('sources')}", ""]
    for source in manifest["sources"]:
        facts = [say.named(say(key), source[key] or say("unknown")) for key in ("license", "language", "citation")]
        lines.append(f"- **{source['name']}** — {'; '.join(facts)}")
    lines += ["", inputs_note(manifest, say)]
    lines += ["", f"## {say('size')}", "", *_markdown(*size(manifest, say)), "", say("words_note")]
    lines += ["", *moved(manifest, say)] if moved(manifest, say) else []
    for heading, tables, notes in (
        ("mixture", [mixture(manifest, say)], mixture_notes(manifest, say)),
        ("augmented", [operations(found, say)], [say("augmented_note")]),
        ("languages", [languages(found, say)], [say("languages_note")]),
        ("formats", [formats(found, say), encodings(found, say)], [mojibake(found, say)]),
        ("domains", [domains(found, say)], []),
        ("refused", [refused(manifest, say)], [say("receipts")]),
        ("diversity", [diversity(found, say)], []),
        ("duplicates", [duplicates(found, say)], []),
        ("contamination", [contamination(found, say)], [say("leaked_note")]),
        ("personal", [personal(found, say)], [say("personal_note")]),
    ):
        lines += _section(say(heading), [table for table in tables if table[1]], notes, say("nothing") if heading == "refused" else "")
    lines += ["", f"## {say('cleaning')}", "", *(f"- {say.named(f'**{name}**', done)}" for name, done in steps(manifest, found, say))]
    lines += ["", *_markdown([say("setting"), say("chosen")], settings(manifest))]
    lines += ["", *_markdown(*thresholds(manifest, say))] if manifest.get("thresholds") else []
    lines += ["", say.named(say("versions"), ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()))]
    return "\n".join(lines) + "\n"


def _section(heading: str, tables: Sequence[Listed], notes: Sequence[str], otherwise: str) -> list[str]:
    """A section with its tables; without any it says `otherwise`, or is left out."""
    if not tables and not otherwise:
        return []
    parts = [_markdown(*table) for table in tables] or [[otherwise]]
    return ["", f"## {heading}", *(line for part in (*parts, *([note] for note in notes)) for line in ("", *part))]


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


def size(manifest: Mapping[str, Any], say: Phrases) -> Listed:
    """Documents, characters, words and bytes of each split."""
    measured = ("documents", "characters", "words", "bytes")
    rows: Rows = [[say(split), *(manifest["documents"][split][name] for name in measured)] for split in SPLITS]
    return [say("split"), *map(say, measured)], rows


def moved(manifest: Mapping[str, Any], say: Phrases) -> list[str]:
    """The note on documents that were moved between splits, if any."""
    number = len(manifest["moved_to_fill_a_split"])
    return [say("moved_note", number=number)] if number else []


def languages(found: Findings, say: Phrases) -> Listed:
    """Inputs and kept documents by language."""
    groups = {name or say("no_language"): group for name, group in found.statistics.languages.items()}
    return [say("recognised"), *_group_columns(say)], grouped(groups, say)


def refused(manifest: Mapping[str, Any], say: Phrases) -> Listed:
    """Inputs that were left out, by rule."""
    return [say("rule"), say("documents")], [list(pair) for pair in manifest["receipts"]["refused"].items()]


def mixture(manifest: Mapping[str, Any], say: Phrases) -> Listed:
    """Groups with the weight and share that were asked for, and what was reached."""
    weights = manifest["settings"]["mix"]["weights"]
    shares = [(share, _reached(share, manifest)) for share in manifest.get("mixture", ())]
    rows: Rows = [
        [
            share["group"],
            share["documents"],
            weights.get(share["group"]),
            _percent(share["wanted"]),
            share["taken_documents"],
            _percent(reached),
        ]
        for share, reached in shares
    ]
    return [say(name) for name in ("group", "available", "weight", "wanted", "taken", "reached")], rows


def mixture_notes(manifest: Mapping[str, Any], say: Phrases) -> list[str]:
    """What the shares are of, and which groups missed theirs."""
    mix = manifest["settings"]["mix"]
    unit = say("bytes" if mix["total_bytes"] else "documents")
    taken = sum(share["taken_documents"] for share in manifest.get("mixture", ())) or 1
    missed = [
        share["group"] for share in manifest.get("mixture", ()) if abs(_reached(share, manifest) - share["wanted"]) > MISSED + 1 / taken
    ]
    notes = [say("mixture_note", by=mix["by"], unit=unit)]
    return [*notes, say("mixture_missed", names=say.joined(missed))] if missed else notes


def _reached(share: Mapping[str, Any], manifest: Mapping[str, Any]) -> float:
    unit = "taken_bytes" if manifest["settings"]["mix"]["total_bytes"] else "taken_documents"
    return share[unit] / (sum(each[unit] for each in manifest["mixture"]) or 1)


def operations(found: Findings, say: Phrases) -> Listed:
    """Augmented copies by what was done to them."""
    return [say("operation"), say("documents")], [list(pair) for pair in found.operations.most_common()]


def formats(found: Findings, say: Phrases) -> Listed:
    """Inputs and kept documents by what was read."""
    return [say("format"), *_group_columns(say)], grouped(found.statistics.formats, say)


def encodings(found: Findings, say: Phrases) -> Listed:
    """Inputs and kept documents by encoding."""
    return [say("encoding"), *_group_columns(say)], grouped(found.statistics.encodings, say)


def mojibake(found: Findings, say: Phrases) -> str:
    """In how many texts mojibake was undone."""
    undone = found.statistics.mojibake
    return say("mojibake", inputs=show(undone.inputs), kept=show(undone.kept)) if undone.inputs else say("no_mojibake")


def domains(found: Findings, say: Phrases) -> Listed:
    """Kept documents by web domain."""
    ordered = sorted(found.domains.items(), key=lambda pair: (-pair[1], pair[0]))
    rows: Rows = [list(pair) for pair in ordered[:MOST_GROUPS]]
    if rest := ordered[MOST_GROUPS:]:
        rows.append([say("rest", number=show(len(rest))), sum(number for _, number in rest)])
    return [say("domain"), say("documents")], rows


def origins(found: Findings, say: Phrases) -> Listed:
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


def diversity(found: Findings, say: Phrases) -> Listed:
    """What the sample says."""
    sample = found.diversity
    pairs: list[tuple[str, Cell]] = [(say("sampled"), sample.documents), (say("sampled_words"), sample.words)]
    pairs += [(say(name), getattr(sample, name)) for name in ("type_token_ratio", "compression_ratio")]
    pairs += [(say("novelty", n=n), share) for n, share in sample.novelty.items()]
    return ["", ""], [[name, value] for name, value in pairs if value is not None]


def duplicates(found: Findings, say: Phrases) -> Listed:
    """Copies that were left out, and the documents with most of them."""
    copies, near = found.statistics.copies.total(), found.statistics.near.total()
    rows: Rows = [[say("equal_copies"), copies - near], [say("near_copies"), near], [say("clusters"), len(found.statistics.copies)]]
    return ["", say("documents")], rows if copies else []


def largest(found: Findings, say: Phrases) -> Listed:
    """The documents that stand for most others."""
    rows: Rows = [[cluster.source, cluster.equal, cluster.near] for cluster in found.statistics.largest]
    return [say("document"), say("equal"), say("near")], rows


def contamination(found: Findings, say: Phrases) -> Listed:
    """Items of evaluation sets and the documents that were left out for holding them, those that cost most first."""
    leaked = found.statistics.leaked
    most = leaked.most_common(MOST_GROUPS)
    rows: Rows = [list(pair) for pair in most]
    if rest := len(leaked) - len(most):
        rows.append([say("rest", number=show(rest)), leaked.total() - sum(number for _, number in most)])
    return [say("item"), say("documents")], rows


def personal(found: Findings, say: Phrases) -> Listed:
    """Personal data by kind."""
    rows: Rows = [[kind, places, documents] for kind, (places, documents) in sorted(found.statistics.personal.items())]
    return [say("kind"), say("places"), say("documents")], rows


def thresholds(manifest: Mapping[str, Any], say: Phrases) -> Listed:
    """The thresholds of the rules that could refuse, for Chinese texts and for others."""
    other, chinese = manifest["thresholds"]["other"], manifest["thresholds"]["chinese"]
    rows: Rows = [[rule, other.get(rule), chinese.get(rule)] for rule in dict.fromkeys((*other, *chinese))]
    return [say("rule"), say("thresholds_other"), say("thresholds_chinese")], rows


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _setting(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_setting(each)}" for name, each in cast("Mapping[str, object]", value).items()) or "–"
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value))) or "–"
    return f"{value:g}" if isinstance(value, float) else str(value) or "–"


def _markdown(columns: Sequence[str], rows: Any) -> list[str]:
    body = ["| " + " | ".join(" ".join(show(cell).replace("|", "\\|").split("\n")) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]
