"""The report of a run, from files alone."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hanmo.base.runs import Run
from hanmo.base.storage import write_json, write_text
from hanmo.evaluate.phrases import report_phrases
from hanmo.evaluate.report import report, summary, table, verdict, write_report

MODELS = {"uniform": 4.1, "unigram": 3.5, "kneser-ney": 2.4, "lstm": 2.31, "transformer": 2.05}


def evaluation() -> dict[str, Any]:
    """What `hanmo run` leaves in evaluation.json."""
    models = {
        name: {
            "bits_per_byte": bits,
            "interval": [bits - 0.04, bits + 0.05],
            "perplexity": 2 ** (bits * 3),
            "word_perplexity": 2 ** (bits * 5.5),
            "definition": "bits_per_byte: what it says",
        }
        for name, bits in MODELS.items()
    }
    differences = {
        name: {
            "difference": 2.05 - bits,
            "interval": [2.03 - bits, 2.07 - bits],
            "p_value": 0.0002,
            "adjusted_p_value": 0.0008,
            "apart": True,
        }
        for name, bits in MODELS.items()
        if name != "transformer"
    }
    return {
        "split": "test",
        "documents": 6,
        "bytes": 734512,
        "unit": "passage",
        "units": 359,
        "reference": "transformer",
        "models": models,
        "differences": differences,
    }


def plan() -> dict[str, Any]:
    """What `hanmo plan` and the end of a run leave in plan.json."""
    return {
        "parameters": {"total": 5_771_520, "parts": {"embedding": 1_048_576, "attention": 1_572_864, "mlp": 3_145_728, "norms": 4_352}},
        "memory": {"parts": {"weights": 11_543_040, "activations": 301_000_000}},
        "seconds": {"start": 4.0, "training": 402.5, "evaluation": 12.0, "saving": 1.5},
        "forecast": {"minutes": 7.0, "peak_memory_bytes": 1.21e9, "disk_bytes": 2.2e8, "money": None, "energy_kwh": 0.0042},
        "fact": {"minutes": 6.6, "peak_memory_bytes": 1.27e9, "disk_bytes": 2.1e8},
        "assumptions": {"assume_as_busy": 0.0, "assume_watts": 65.0},
    }


def make_run(folder: Path) -> Run:
    """A run folder as `hanmo run` leaves it, without the models."""
    run = Run(folder).create()
    write_json(run.evaluation, evaluation())
    write_json(run.plan, plan())
    options = {"temperature": 0.8, "top_p": 0.95, "seed": 1}
    texts = [("The wind", " went over the hill,\nand no one <b>heard</b> it."), ("", "春风又绿江南岸。")]
    write_json(run.samples, {"samples": [{"prompt": prompt, "text": text, "options": options} for prompt, text in texts]})
    rows: list[dict[str, object]] = []
    for step in range(10, 701, 10):
        loss = 2.4 + 6 * math.exp(-step / 90) + 0.05 * math.sin(step)
        row: dict[str, object] = {
            "step": step,
            "tokens": step * 4096,
            "loss": loss,
            "learning_rate": 3e-3 * min(1, (700 - step) / 280),
            "gradient_norm": 0.5 + 0.2 * math.cos(step),
            "tokens_per_second": None if step % 100 == 0 else 7000 + 200 * math.sin(step / 3),
        }
        if step % 100 == 0:
            row["validation_loss"] = loss + 0.1
        rows.append(row)
    run.keep_metrics(rows)
    machine = {"system": "Linux", "processor": "A processor", "cores": 2, "memory_bytes": 25_000_000_000, "python": "3.11.2"}
    run.write_manifest({"seed": 1, "steps": 700, "validation_loss": 2.5, "machine": machine, "versions": {"hanmo": "0.1.0"}})
    write_json(
        run.stages, {"prepare": {"seconds": 8.2, "peak_memory_bytes": 3e8}, "pretrain": {"seconds": 396.0, "peak_memory_bytes": 1.27e9}}
    )
    splits = {name: {"documents": count, "bytes": count * 130_000} for name, count in (("train", 30), ("validation", 2), ("test", 6))}
    source = {"name": "plays", "license": "CC0-1.0", "citation": "", "language": "en"}
    run.data.mkdir()
    receipts = {"total": 40, "kept": 38, "refused": {"exact_duplicate": 2}}
    write_json(run.data / "manifest.json", {"sources": [source], "documents": splits, "receipts": receipts})
    write_text(run.recipe, 'name = "plays"\n')
    return run


class Words(HTMLParser):
    """The text of a page, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words, self.loads = "", list[str]()
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_report_opens_offline_and_says_everything(tmp_path: Path, language: Any) -> None:
    run = make_run(tmp_path / "plays")
    write_report(run, title="Plays", language=language)
    seen, say = Words(run.report.read_text("utf-8")), report_phrases(language)
    assert seen.loads and all(each.startswith("data:image/png") for each in seen.loads)
    assert (run.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    expected = [
        "2.050 [2.010, 2.100]",
        "−0.350 [−0.370, −0.330]",
        "5,771,520",
        "−5 %",
        "1.27 GB",
        "<b>heard</b>",
        "春风又绿江南岸",
        "CC0-1.0",
    ]
    expected += [say(key) for key in ("result", "samples", "curves", "plan", "data", "again")] + [
        verdict(evaluation(), say),
        say("assume_watts", value=65),
    ]
    assert [text for text in expected if text not in seen.words] == []


def test_models_stand_from_the_weakest_to_the_best(tmp_path: Path) -> None:
    seen = Words(report(make_run(tmp_path / "plays"))).words
    places = [seen.index(f"{bits:.3f} [{bits - 0.04:.3f}") for bits in MODELS.values()]
    assert places == sorted(places)
    lines = table(evaluation()).splitlines()
    assert [line.split()[0] for line in lines] == ["model", "uniform", "unigram", "Kneser-Ney", "LSTM", "Transformer"]


def test_terminal_table_shows_intervals_and_paired_differences() -> None:
    lstm = next(line for line in table(evaluation()).splitlines() if line.startswith("LSTM"))
    assert re.split(r"\s{2,}", lstm)[1:5] == ["2.310", "[2.270, 2.360]", "−0.260", "[−0.280, −0.240]"]


def test_model_that_is_not_shown_to_be_worse_is_named() -> None:
    found = evaluation()
    found["differences"]["lstm"] |= {"difference": -0.01, "interval": [-0.03, 0.01]}
    found["differences"]["unigram"] |= {"interval": None}
    assert verdict(found, report_phrases("en")).endswith("is not shown to be better than: unigram, LSTM.")


def test_result_without_interval_is_shown_as_a_number_alone(tmp_path: Path) -> None:
    run, found = make_run(tmp_path / "plays"), evaluation()
    found["models"]["lstm"] |= {"interval": None, "word_perplexity": None}
    found["differences"]["lstm"] |= {"interval": None}
    write_json(run.evaluation, found)
    seen = Words(report(run)).words
    assert "2.310" in seen and "2.310 [" not in seen
    assert "–" in table(found)


def test_report_of_an_unfinished_run_tells_what_is_there(tmp_path: Path) -> None:
    run = Run(tmp_path / "begun").create()
    write_text(run.config, "[train]\nseed = 1\n")
    run.append_metrics({"step": 1, "tokens": 10, "loss": float("nan"), "learning_rate": 0.0, "tokens_per_second": None})
    write_report(run)
    seen = Words(run.report.read_text("utf-8")).words
    assert "This run has no evaluation yet." in seen and "seed = 1" in seen
    assert summary(run) == f"report: {run.report}"


def test_summary_ends_with_the_place_of_the_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "plays")
    said = summary(run)
    assert "The wind went over the hill," in said and "+6 %" in said
    assert said.splitlines()[-1] == f"report: {run.report}, 6m44s in all"


def test_page_is_well_formed(tmp_path: Path) -> None:
    text = report(make_run(tmp_path / "plays"))
    text = re.sub(r"<(meta|img|source)([^>]*)>", r"<\1\2/>", text.replace("<!DOCTYPE html>", "").replace("&mdash;", ""))
    assert ElementTree.fromstring(text).tag == "html"


def test_numbers_of_the_page_are_those_of_the_files(tmp_path: Path) -> None:
    run = make_run(tmp_path / "plays")
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    write_report(run)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert json.loads(run.plan.read_text())["fact"]["minutes"] == 6.6


def test_passages_and_unknown_words_are_told_in_both_languages(tmp_path: Path) -> None:
    run = Run(tmp_path / "run").create()
    found = evaluation()
    found["models"]["transformer"]["unknown_tokens"] = 1234
    write_json(run.evaluation, found)
    for language, words in (
        ("en", ("1,234 tokens are words outside", "other texts may differ")),
        ("zh", ("有 1,234 个词元是词表外", "其他文本的差异")),
    ):
        text = report(run, language=language)
        assert all(each in text for each in words)
    write_json(run.evaluation, {**evaluation(), "unit": "document"})
    assert "词表外" not in report(run, language="zh") and "其他文本" not in report(run, language="zh")


def test_a_smoothed_training_loss_is_not_taken_for_a_plain_one(tmp_path: Path) -> None:
    run = Run(tmp_path / "run").create()
    run.append_metrics({"step": 1, "loss": 3.0, "learning_rate": 0.1})
    for smoothing, told in ((0.0, False), (0.1, True)):
        write_text(run.config, f"[train]\nlabel_smoothing = {smoothing}\n")
        assert ("label smoothing 0.1" in report(run)) is told
