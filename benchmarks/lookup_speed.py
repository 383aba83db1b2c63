"""Prompt lookup beside plain decoding: the same text, tokens a second of one stream, on summarising and on code editing.

    .venv/bin/python benchmarks/lookup_speed.py [--precisions int4 int8 bfloat16 float32] [--speculate 16] [--rounds 3] --json

SmolLM2-135M-Instruct (hanmo fetch) answers greedily, through its chat template, at most --tokens tokens. Summaries: the first news
articles of the T0 samples (CNN / Daily Mail, with the request that stands there) and the first dialogues of DialogSum's validation
set, under --data. Edits: functions of Python's own library, read at run time, with requests such as people make. Nothing was chosen by
its result. Every prompt is answered in turns, plainly and with lookup, --rounds times; a text's speed is that of its fastest round,
its prompt's reading left out (`whole` has it in). Processor time stands beside it, for a machine with other work (with --threads 1).
`same_text` says whether both wrote the same ids. --passes measures what a pass over several tokens takes beside one over one: what
speculate.py calls a price.
"""

import argparse
import inspect
import json
import statistics
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "shared" / "data"
NEWS, DIALOGUES = "t0_sum_samples/cnn_dailymail_3_0_0_tldr_summary.jsonl", "dialogsum/dialogsum.dev.jsonl"
EDITS = (
    ("textwrap", "shorten", "Add type hints to this function. Give the whole function back."),
    ("statistics", "harmonic_mean", "Rename the parameter `weights` to `importance` everywhere in this function."),
    ("shutil", "copyfileobj", "Add a docstring to this function that explains its parameters. Return the complete code."),
    ("heapq", "nlargest", "Rewrite this function without its comments, otherwise unchanged."),
    ("inspect", "cleandoc", "Rename the variable `lines` to `rows`. Show the full function."),
    ("colorsys", "rgb_to_hsv", "Change this function so that it raises a ValueError when r is negative. Return the whole function."),
    ("string", "capwords", "Fix the docstring of this function so that it says what happens with several spaces, and return the function."),
    ("fnmatch", "filter", "Add a logging statement at the beginning of this function. Return all of the code."),
)
LONGEST = 1400
PASSES = (2, 3, 4, 5, 6, 8, 9, 12, 16, 17)


@dataclass(frozen=True)
class Request:
    """What somebody asks for."""

    kind: str
    name: str
    text: str


def requests(data: Path, count: int) -> Iterator[Request]:
    """`count` requests of each kind, as far as the data is there."""
    news, dialogues = data / NEWS, data / DIALOGUES
    for path, share in ((news, count - count // 2), (dialogues, count // 2)):
        if not path.exists():
            print(f"{path.name} is not here: its summaries are left out")
            continue
        with path.open(encoding="utf-8") as lines:
            for number, line in zip(range(share), lines, strict=False):
                row = json.loads(line)
                text = row["prompt"] if path == news else f"Summarize this conversation.\n\n{row['dialogue']}"
                yield Request("summarising", f"{path.stem.split('_')[0]} {number}", text)
    for module, name, wish in EDITS[:count]:
        source = textwrap.dedent(inspect.getsource(getattr(__import__(module), name)))
        yield Request("editing", f"{module}.{name}", f"{wish}\n\n```python\n{source}```")


class Answerer:
    """A loaded model that answers with and without lookup."""

    def __init__(self, folder: Path, precision: str, threads: int) -> None:
        import torch

        from hanmo.generate.loaded import TextModel
        from hanmo.tokenizer.chat import Chat

        torch.set_num_threads(threads)
        self.model = TextModel(folder, dtype=precision)  # pyright: ignore[reportArgumentType]
        self.chat = Chat.load(folder)

    def ids(self, text: str) -> list[int]:
        """The conversation up to where the assistant begins."""
        return self.chat.encode([{"role": "user", "content": text}], answer=True).ids.tolist()

    def answer(self, ids: list[int], tokens: int, speculate: int) -> dict[str, Any]:
        """Ids, and what they took."""
        from hanmo.generate import engine, scheduler
        from hanmo.generate import speculate as speculation
        from hanmo.generate.continuation import Continuation
        from hanmo.generate.options import SamplingOptions
        from hanmo.generate.prompt import Opening

        network, tokenizer = self.model.network, self.model.tokenizer
        options = SamplingOptions(greedy=True, max_tokens=tokens, speculate=speculate, seed=0)
        limits = engine.limits_of(network, tokenizer, options, self.model.end_ids)
        one = Continuation(Opening("", ids), 0, 0, tokenizer, limits)
        counts = speculation.AcceptanceCounts()
        started = time.perf_counter()
        if speculate:
            guesser = speculation.Lookup(speculation.price_of(network))
            events: Iterator[object] = speculation.speculate(network, one, guesser, tokenizer.vocab_size, counts)
        else:
            running = scheduler.Scheduler(network, tokenizer.vocab_size)
            running.submit(one)
            events = running.run()
        next(events, None)
        first, first_cpu, drawn = time.perf_counter(), time.process_time(), len(one.ids)
        for _ in events:
            pass
        ended = time.perf_counter()
        spent = {"seconds": ended - first, "cpu": time.process_time() - first_cpu, "whole": ended - started}
        return {"ids": one.ids, "tokens": len(one.ids) - drawn, **spent, **vars(counts)}

    def passes(self, before: int = 512) -> dict[int, float]:
        """How much longer a pass over several tokens takes than one over one, after a text of `before` tokens."""
        import torch

        from hanmo.generate.reader import DecoderReader

        reader = DecoderReader(self.model.network, 64)  # pyright: ignore[reportArgumentType]
        ids = [100 + 37 * number % 40000 for number in range(before)]
        best: dict[int, float] = dict.fromkeys((1, *PASSES), float("inf"))
        with torch.inference_mode():
            reader.read([ids])
            for _ in range(8):
                for count in best:
                    started = time.perf_counter()
                    reader.read_each(ids[:count])
                    best[count] = min(best[count], time.perf_counter() - started)
                    reader.forget(count)
        return {count: seconds / best[1] for count, seconds in best.items()}


def compare(answerer: Answerer, request: Request, options: argparse.Namespace) -> dict[str, Any] | None:
    """One request, in turns; None for one that is too long or has nothing to say."""
    ids = answerer.ids(request.text)
    if len(ids) > LONGEST:
        return None
    plain, looked = [], []
    for _ in range(options.rounds):
        plain.append(answerer.answer(ids, options.tokens, 0))
        looked.append(answerer.answer(ids, options.tokens, options.speculate))
    if plain[0]["tokens"] < 1:
        return None
    fastest = {
        name: {key: min(each[key] for each in made) for key in ("seconds", "cpu", "whole")} for name, made in (("p", plain), ("l", looked))
    }
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(plain, looked, strict=True)]
    last, tokens = looked[-1], plain[0]["tokens"]
    return {
        "kind": request.kind,
        "name": request.name,
        "prompt_tokens": len(ids),
        "tokens": tokens,
        "same_text": all(each["ids"] == plain[0]["ids"] for each in (*plain, *looked)),
        "plain_seconds": fastest["p"]["seconds"],
        "lookup_seconds": fastest["l"]["seconds"],
        "ratio": fastest["p"]["seconds"] / fastest["l"]["seconds"],
        "ratio_spread": [min(ratios), max(ratios)],
        "cpu_ratio": fastest["p"]["cpu"] / fastest["l"]["cpu"],
        "whole_ratio": fastest["p"]["whole"] / fastest["l"]["whole"],
        **{key: last[key] for key in ("passes", "guessed", "accepted")},
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All tokens of a kind through all their seconds, and the requests one by one."""
    tokens, plain, looked = (sum(row[key] for row in rows) for key in ("tokens", "plain_seconds", "lookup_seconds"))
    ratios = [row["ratio"] for row in rows]
    return {
        "plain_tokens_per_second": tokens / plain,
        "lookup_tokens_per_second": tokens / looked,
        "ratio": plain / looked,
        "median_cpu_ratio": statistics.median(row["cpu_ratio"] for row in rows),
        "median_ratio": statistics.median(ratios),
        "ratio_spread": [min(ratios), max(ratios)],
        "same_text": sum(row["same_text"] for row in rows),
        "texts": len(rows),
    }


def show(precision: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A block of the table; gives the summaries."""
    found: dict[str, Any] = {}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        print(f"\n{precision}, {kind}")
        of_kind = [row for row in rows if row["kind"] == kind]
        for row in of_kind:
            came = f"{row['accepted']}/{row['guessed']} guesses came, {row['passes']} passes"
            same = "same" if row["same_text"] else "OTHER"
            print(
                f"  {row['name']:26} {row['prompt_tokens']:5} + {row['tokens']:3} tokens   {row['tokens'] / row['plain_seconds']:6.1f} -> "
                f"{row['tokens'] / row['lookup_seconds']:6.1f}/s   {row['ratio']:5.2f}x (whole {row['whole_ratio']:.2f}x, "
                f"processor time {row['cpu_ratio']:.2f}x)   {came}   {same} text"
            )
        one = found[kind] = summary(of_kind)
        print(
            f"  together {one['plain_tokens_per_second']:.1f} -> {one['lookup_tokens_per_second']:.1f} tokens/s: {one['ratio']:.2f}x "
            f"(median {one['median_ratio']:.2f}x, "
            f"of processor time {one['median_cpu_ratio']:.2f}x), same text {one['same_text']} of {one['texts']}"
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precisions", nargs="+", default=["int4", "int8", "bfloat16", "float32"])
    parser.add_argument("--speculate", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=8, help="of each kind")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--passes", action="store_true", help="measure prices as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from hanmo.base.runtime import machine, versions
    from hanmo.convert.sources import local_model

    folder = local_model(Path("smollm2-135m-instruct"))
    asked = list(requests(options.data, options.requests))
    result: dict[str, Any] = {}
    for precision in options.precisions:
        answerer = Answerer(folder, precision, options.threads)
        answerer.answer(answerer.ids("Hello"), 8, options.speculate)
        rows = [row for request in asked if (row := compare(answerer, request, options))]
        result[precision] = {"summary": show(precision, rows), "requests": rows}
        if options.passes:
            found = result[precision]["passes"] = answerer.passes()
            print("  a pass over several tokens: " + ", ".join(f"{count}: {ratio:.2f}x" for count, ratio in found.items()))
    if options.json:
        print(json.dumps({"precisions": result, "speculate": options.speculate, "machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
