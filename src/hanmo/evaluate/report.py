"""The report of a run: one page that opens offline, and the same in short for a terminal.

In: the files of a run folder, whichever are there (evaluation, metrics, samples, plan, stages, manifests). Out: report.html
and curves.png beside it. It computes nothing but differences of forecast and fact: every number stands in a file already.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hanmo.base.config import read_toml
from hanmo.base.page import (
    Block,
    Cell,
    Code,
    Details,
    Facts,
    Figure,
    Interval,
    Language,
    Paragraph,
    Passage,
    Section,
    Table,
    Tiles,
    number,
    page,
    show,
)
from hanmo.base.phrases import Phrases
from hanmo.base.progress import duration, size
from hanmo.base.runs import Run
from hanmo.base.runtime import machine, source_commit, versions
from hanmo.base.storage import read_json, write_atomically, write_text
from hanmo.evaluate.curves import chinese_font, draw_curves
from hanmo.evaluate.phrases import WORDS, report_phrases
from hanmo.plan.estimate import Comparison, forecast_and_fact

Json = Mapping[str, Any]

CURVES = "curves.png"


def write_report(run: Run, *, title: str = "", language: Language = "en") -> None:
    """Write `report.html` and `curves.png` into the run folder."""
    write_text(run.report, report(run, title=title, language=language))


def report(run: Run, *, title: str = "", language: Language = "en") -> str:
    """The page; draws `curves.png` on the way. What the run has not made yet is left out."""
    say, evaluation, plan = report_phrases(language), _read(run.evaluation), _read(run.plan)
    samples, training = _read(run.samples), run.read_manifest()
    data = _read(run.data / "manifest.json")
    sections = [
        Section(say("result"), _result(evaluation, plan, say) if evaluation else [Paragraph(say("wait"))]),
        Section(say("samples"), [_sample(each, say) for each in samples.get("samples", [])]),
        Section(say("curves"), _curves(run, training, say, language)),
        Section(say("plan"), _plan(plan, _read(run.stages), say)),
        Section(say("data"), _data(data, say)),
        Section(say("again"), _again(run, training, say)),
    ]
    facts = training.get("machine") or machine()
    subtitle = f"{facts['processor']}, {facts['cores']} × CPU, {size(float(facts['memory_bytes']))}"
    return page(title or run.folder.name, [each for each in sections if each.blocks], language, subtitle=subtitle)


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _name(model: str, say: Phrases) -> str:
    return say(model) if model in WORDS else model


def _metric(evaluation: Json) -> str:
    """What the models are compared by."""
    return evaluation.get("metric", "bits_per_byte")


def _sign(evaluation: Json) -> int:
    """1 where more is better, -1 where less is."""
    return 1 if evaluation.get("larger_is_better") else -1


def _ordered(evaluation: Json) -> list[tuple[str, Json]]:
    """Models from the weakest to the best."""
    models: Mapping[str, Json] = evaluation["models"]
    metric, sign = _metric(evaluation), _sign(evaluation)
    return sorted(models.items(), key=lambda item: sign * item[1][metric])


OTHERS = ("perplexity", "word_perplexity", "accuracy", "pseudo_perplexity")
"""Further numbers of a model, shown where some model has them."""


def _others(evaluation: Json) -> list[str]:
    found = {key for model in evaluation["models"].values() for key in model}
    return [name for name in OTHERS if name in found and name != _metric(evaluation)]


def _bits(value: float, interval: Sequence[float] | None) -> Cell:
    return Interval(value, interval[0], interval[1]) if interval else number(value, 3)


def verdict(evaluation: Json, say: Phrases) -> str:
    """Whether the reference is better than every other model, in one honest sentence."""
    reference = evaluation["reference"]
    unproved = [name for name, found in evaluation["differences"].items() if not _is_better(found, _sign(evaluation))]
    if unproved:
        return say("not_best", reference=_name(reference, say), names=", ".join(_name(name, say) for name in unproved))
    return say("best", reference=_name(reference, say))


def _is_better(difference: Json, sign: int) -> bool:
    """Whether the whole interval of reference minus model lies on the good side."""
    low, high = difference.get("interval") or (0.0, 0.0)
    return low > 0 if sign > 0 else high < 0


def _result(evaluation: Json, plan: Json, say: Phrases) -> list[Block]:
    reference = evaluation["reference"]
    best, name = evaluation["models"][reference], _name(reference, say)
    metric, others = _metric(evaluation), _others(evaluation)
    tiles = [(number(best[metric], 3), say("of", what=say(metric), of=name))]
    tiles += [(show(best[each]), say(each)) for each in others if each != "word_perplexity" and each in best]
    if "parameters" in plan:
        tiles.append((show(plan["parameters"]["total"]), say("parameters")))
    if plan.get("fact", {}).get("minutes") is not None:
        tiles.append((number(plan["fact"]["minutes"], 1), say("of", what=say("minutes"), of=say("training"))))
    columns = [say("model"), say(metric), say("difference", reference=name), say("p_value"), *map(say, others)]
    models = _ordered(evaluation)
    notes = _notes(evaluation, best, name, say)
    return [
        Tiles(tiles),
        Paragraph(verdict(evaluation, say)),
        Table(
            columns,
            [_row(model, found, evaluation, say) for model, found in models],
            marked=[i for i, (model, _) in enumerate(models) if model == reference],
        ),
        *(Paragraph(note, quiet=True) for note in notes),
    ]


def _notes(evaluation: Json, best: Json, name: str, say: Phrases) -> list[str]:
    """What was measured on what, and how far it may be trusted."""
    counts = {key: show(evaluation[key]) for key in ("documents", "bytes", "units") if key in evaluation}
    unit = say(evaluation["unit"])
    measured = say("measured_on", **counts, unit=unit) if "bytes" in counts else say("measured_rows", **counts)
    language_model = _metric(evaluation) == "bits_per_byte"
    least = evaluation.get("least_p_value", 0.0)
    return [
        measured,
        say("paired", reference=name) if language_model else say("paired_loss", reference=name),
        say("definition", definition=best["definition"]) if language_model else say("objective_definition"),
        *([say("pseudo_definition")] if "pseudo_perplexity" in best else []),
        *([say("few_units", least=f"{least:.3g}")] if least > 0.05 else []),
        *([say("passages_only")] if evaluation["unit"] == "passage" else []),
        *([say("unknown_words", count=show(best["unknown_tokens"]))] if best.get("unknown_tokens") else []),
    ]


def _row(model: str, found: Json, evaluation: Json, say: Phrases) -> list[Cell]:
    difference: Json | None = evaluation["differences"].get(model)
    against = None if difference is None else _bits(difference["difference"], difference["interval"])
    p_value = None if difference is None else difference.get("adjusted_p_value", difference.get("p_value"))
    return [
        _name(model, say),
        _bits(found[_metric(evaluation)], found["interval"]),
        against,
        None if p_value is None else number(p_value, 4),
        *(show(found[each]) if found.get(each) is not None else None for each in _others(evaluation)),
    ]


def _sample(sample: Json, say: Phrases) -> Passage:
    options = {"temperature": "–", "top_p": "–", "seed": "–", **sample.get("options", {})}
    opening = sample["prompt"]
    caption = say("sample", temperature=options["temperature"], top_p=options["top_p"], seed=options["seed"])
    return Passage(sample["text"], opening=opening, caption=caption if opening else say("start_of_text", sample=caption))


def _curves(run: Run, training: Json, say: Phrases, language: Language) -> list[Block]:
    rows = run.read_metrics()
    if not rows:
        return []
    font = chinese_font() if language == "zh" else None
    words = say if language == "en" or font else report_phrases("en")
    light, dark = (draw_curves(rows, words, dark=dark, font=font) for dark in (False, True))
    write_atomically(run.folder / CURVES, lambda path: _write(path, light))
    facts = [
        (say(key), say(str(training[key])) if key == "stopped_by" else show(training[key]))
        for key in ("steps", "tokens", "best_step", "validation_loss", "stopped_by")
        if key in training
    ]
    smoothing = read_toml(run.config)["train"].get("label_smoothing", 0) if run.config.exists() else 0
    notes = [Paragraph(say("smoothed", share=smoothing), quiet=True)] if smoothing else []
    return [Figure(light, caption=say("curves_note"), dark=dark), *notes, Facts(facts)]


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _amount(key: str, value: float) -> str:
    """A figure of the plan in its own unit."""
    if key.endswith("_bytes"):
        return size(value)
    return number(value, 1) if key == "minutes" else f"{value:.4g}"


def _plan(plan: Json, stages: Json, say: Phrases) -> list[Block]:
    if "forecast" not in plan:
        return []
    fact = plan.get("fact", {})
    compared = {row.name: row for row in forecast_and_fact(plan["forecast"], fact)}
    rows = [_compared(key, value, compared.get(key), say) for key, value in plan["forecast"].items() if value is not None]
    blocks: list[Block] = [Table([say("what"), say("forecast"), say("fact"), say("error")], rows)]
    assumed = [say(key, value=value) for key, value in plan.get("assumptions", {}).items()]
    blocks += [Paragraph(say("joined").join(assumed), quiet=True)] if assumed else []
    parts: dict[str, tuple[str, list[list[Cell]]]] = {
        "parameter_parts": ("parameters", [[name, count] for name, count in plan.get("parameters", {}).get("parts", {}).items()]),
        "memory_parts": ("bytes", [[name, size(held)] for name, held in plan.get("memory", {}).get("parts", {}).items()]),
        "time_parts": ("seconds", [[name, number(each, 1)] for name, each in plan.get("seconds", {}).items()]),
    }
    blocks += [Details(say(key), [Table([say("part"), say(unit)], found)]) for key, (unit, found) in parts.items() if found]
    spent = [[name, number(each["seconds"], 1), size(each["peak_memory_bytes"])] for name, each in stages.items()]
    return blocks + ([Details(say("stages"), [Table([say("stage"), say("seconds"), say("peak_memory_bytes")], spent)])] if spent else [])


def _compared(key: str, forecast: float, row: Comparison | None, say: Phrases) -> list[Cell]:
    after = ["–", "–"] if row is None else [_amount(key, row.fact), f"{100 * row.error:+.0f} %".replace("-", "−")]
    return [say(key), _amount(key, forecast), *after]


def _data(manifest: Json, say: Phrases) -> list[Block]:
    if not manifest:
        return []
    unknown = say("unknown")
    sources = [[each["name"], each["license"] or unknown, each["citation"] or unknown] for each in manifest["sources"]]
    splits = [[say(split), sums["documents"], sums["bytes"]] for split, sums in manifest["documents"].items()]
    receipts = manifest["receipts"]
    blocks: list[Block] = [
        Table([say("source"), say("license"), say("citation")], sources),
        Table([say("split"), say("documents"), say("bytes")], splits),
        Paragraph(say("receipts", kept=show(receipts["kept"]), total=show(receipts["total"])), quiet=True),
    ]
    refused = [[rule, count] for rule, count in receipts["refused"].items()]
    return blocks + ([Details(say("refused"), [Table([say("rule"), say("documents")], refused)])] if refused else [])


def _again(run: Run, training: Json, say: Phrases) -> list[Block]:
    where = training.get("machine") or machine()
    made_with = training.get("versions") or versions()
    commit = source_commit()
    facts = [
        *([(say("commit"), commit)] if commit else []),
        *([(say("seed"), str(training["seed"]))] if "seed" in training else []),
        (say("machine"), f"{where['system']}, {where['processor']}, {where['cores']} × CPU, {size(float(where['memory_bytes']))}"),
        (say("versions"), ", ".join(f"{name} {version}" for name, version in {"Python": where["python"], **made_with}.items())),
    ]
    settings = next((path for path in (run.recipe, run.config) if path.exists()), None)
    blocks: list[Block] = [Code(f"hanmo run recipe.toml --out {run.folder.name}")] if settings == run.recipe else []
    blocks.append(Facts(facts))
    return blocks + ([Details(say("config"), [Code(settings.read_text("utf-8"))])] if settings else [])


def table(evaluation: Json) -> str:
    """The metric with intervals and paired differences, as text for a terminal.

    Models stand from the weakest to the best; the last columns are the reference minus the model, and further numbers.
    """
    say, metric = report_phrases("en"), _metric(evaluation)
    others = [name for name in _others(evaluation) if name != "word_perplexity"]
    against = f"{_name(evaluation['reference'], say)} minus it"
    rows = [["model", metric.replace("_", " "), "[95 %]", against, "[95 %]", *(name.replace("_", " ") for name in others)]]
    for model, found in _ordered(evaluation):
        difference = evaluation["differences"].get(model)
        apart = ["", ""] if difference is None else [number(difference["difference"], 3), _range(difference["interval"])]
        beside = [show(found[name]) if found.get(name) is not None else "" for name in others]
        rows.append([_name(model, say), number(found[metric], 3), _range(found["interval"]), *apart, *beside])
    return _aligned(rows)


def _range(interval: Sequence[float] | None) -> str:
    return f"[{number(interval[0], 3)}, {number(interval[1], 3)}]" if interval else "–"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def summary(run: Run) -> str:
    """What `hanmo run` prints at its end: the table, the verdict, samples, forecast and fact, where the report is."""
    say, parts = report_phrases("en"), list[str]()
    if evaluation := _read(run.evaluation):
        parts += [table(evaluation), verdict(evaluation, say)]
    for sample in _read(run.samples).get("samples", []):
        text = (sample["prompt"] + sample["text"]).strip()
        parts.append("\n".join(f"  | {line}" for line in text.splitlines()[:8]))
    plan = _read(run.plan)
    if rows := forecast_and_fact(plan.get("forecast", {}), plan.get("fact", {})):
        lines = [["", "forecast", "fact", "error"]]
        lines += [
            [say(row.name), _amount(row.name, row.forecast), _amount(row.name, row.fact), f"{100 * row.error:+.0f} %"] for row in rows
        ]
        parts.append(_aligned(lines))
    stages = _read(run.stages)
    took = f", {duration(sum(each['seconds'] for each in stages.values()))} in all" if stages else ""
    return "\n\n".join([*parts, f"report: {run.report}{took}"])
