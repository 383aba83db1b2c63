"""Read what a mutant says it is, in a process of its own with little memory and time: it loads and is true, or is refused in one line.

In: mutants. Out: for each an answer: "read", or a refusal, or a finding (a traceback, a warning, a crash, too much time or memory, a lie).
Processes are forked from one that has imported everything; each judges some mutants and measures them one by one.
"""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from tests.fuzz.seeds import Files, Reader

import hanmo
from hanmo.base.errors import HanmoError
from hanmo.batches.store import TokenStore
from hanmo.data.reading.contents import FAULT, ReadConfig
from hanmo.data.reading.inputs import Refused, Unit, list_files, name_sources, place
from hanmo.data.reading.read import format_of, read_unit
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder
from hanmo.model.families.weights import parameter_shapes
from hanmo.model.store import load_model
from hanmo.tokenizer.chat import Chat, read_template
from hanmo.tokenizer.templates import render
from hanmo.train import checkpoint

SECONDS, MEMORY = 20, 1 << 30
"""Processor time and address space that one mutant may take; far more than a sound file needs, far less than a lie asks for."""
GROWTH = 300 << 20
LONGEST_LINE = 2000
MESSAGES = [{"role": "user", "content": "the rain"}, {"role": "assistant", "content": "雨。"}]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant."""

    answer: str
    finding: bool


def read_text(folder: Path) -> None:
    """A language model: what it says, also in 8 bits, and how it takes a conversation."""
    model = hanmo.load(folder)
    _check_truth(model.folder, model.network)
    model.generate("the rain", max_tokens=3, greedy=True)
    model.generate("the rain", max_tokens=2)
    if read_template(model.folder) is not None:
        Chat.load(model.folder).encode(MESSAGES, answer=True)
    if isinstance(model.network, Decoder):
        hanmo.load(folder, dtype="int8").generate("雨", max_tokens=2, greedy=True)


def read_file(folder: Path) -> None:
    """A file on its own, imported first."""
    for path in sorted(folder.iterdir()):
        read_text(path)


def read_vectors(folder: Path) -> None:
    """An encoder."""
    encoder = hanmo.load_encoder(folder)
    vectors = encoder.embed(["the rain", "雨下在山上，山上有雨。"])
    if vectors.shape != (2, _said(folder, "hidden_size")):
        raise AssertionError(f"a lie: vectors {vectors.shape}")


def read_pairs(folder: Path) -> None:
    """An encoder-decoder."""
    network = load_model(folder)
    ids = torch.arange(6).view(2, 3)
    with torch.no_grad():
        logits = network(ids, ids, torch.ones(2, 3, dtype=torch.bool))  # pyright: ignore[reportCallIssue]
    if logits.shape[-1] != _said(folder, "vocab_size"):
        raise AssertionError(f"a lie: logits {logits.shape}")


def read_tokens(folder: Path) -> None:
    """A token store."""
    store = TokenStore.open(folder)
    store.check()
    if sum(len(store.document(index)) for index in range(store.num_documents)) != store.num_tokens:
        raise AssertionError("a lie: documents do not hold the tokens")
    list(store.document_ids())
    _ = int(store.bytes_of_documents.sum()), store.ids[:3]


def read_checkpoint(folder: Path) -> None:
    """A state to go on from."""
    checkpoint.load(folder)


def read_program(folder: Path) -> None:
    """A chat template."""
    text = (folder / "chat_template.jinja").read_bytes().decode("utf-8", "replace")
    for messages in (MESSAGES, []):
        render(text, {"messages": messages, "bos_token": "<s>", "add_generation_prompt": True, "tools": None})


def read_states(folder: Path) -> None:
    """A model for vectors, which may also write."""
    model = hanmo.load(folder)
    vectors = model.embed(["the rain", "雨下在山上"])
    if vectors.shape != (2, _said(folder, "hidden_size")):
        raise AssertionError(f"a lie: vectors {vectors.shape}")
    if not isinstance(model.network, Embedder):
        model.generate("the rain", max_tokens=2)


def read_data(folder: Path) -> str:
    """Files of text: every one gives texts or refusals, and no reader is surprised; gives the rules that refused something."""
    rules: set[str] = set()
    for config in (ReadConfig(), ReadConfig(split_on="passage")):
        files, _ = list_files(name_sources([place(folder)]))
        for file in files:
            for entry in read_unit(Unit(file=file, format=format_of(file, config)), config):
                if isinstance(entry, Refused) and entry.rule == FAULT:
                    raise AssertionError(f"a surprise: {entry.detail}")
                if isinstance(entry, Refused):
                    rules.add(entry.rule)
                else:
                    entry.text.encode()
    return f"read, refused by {', '.join(sorted(rules))}" if rules else "read"


READERS: dict[Reader, Callable[[Path], str | None]] = {
    "text": read_text,
    "file": read_file,
    "vectors": read_vectors,
    "pairs": read_pairs,
    "tokens": read_tokens,
    "checkpoint": read_checkpoint,
    "template": read_program,
    "states": read_states,
    "data": read_data,
}


def _said(folder: Path, *keys: str) -> object:
    values = json.loads((folder / "config.json").read_text("utf-8"))
    return next((values[key] for key in keys if key in values), values.get("d_model"))


def _check_truth(folder: Path, network: object) -> None:
    """Raise AssertionError where a decoder's tensors are not what config.json says."""
    if not isinstance(network, Decoder):
        return
    said = dict(parameter_shapes(network.config))
    found = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    sizes = (network.config.vocab_size, network.config.hidden_size, network.config.num_hidden_layers)
    told = (_said(folder, "vocab_size"), _said(folder, "hidden_size", "n_embd"), _said(folder, "num_hidden_layers", "n_layer"))
    if said != found or sizes != told:
        raise AssertionError(f"a lie: {sizes} against {told}, {set(said) ^ set(found)}")


def judge_all(mutants: Sequence[tuple[Reader, Files]], place: Path) -> Iterator[Verdict]:
    """A verdict for each, in order; a process that dies is followed by another."""
    done = 0
    while done < len(mutants):
        pid, pipe = _forked(mutants[done:], place)
        with os.fdopen(pipe, "r") as answers:
            for line in answers:
                row = json.loads(line)
                done += 1
                yield Verdict(**row)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            over = number in (signal.SIGPROF, signal.SIGALRM)
            done += 1
            yield Verdict(f"takes more than {SECONDS} seconds" if over else f"dies of {signal.Signals(number).name}", True)


def _forked(mutants: Sequence[tuple[Reader, Files]], place: Path) -> tuple[int, int]:
    there, here = os.pipe()
    pid = os.fork()
    if pid:
        os.close(here)
        return pid, there
    try:
        os.close(there)
        _limit()
        with os.fdopen(here, "w") as answers:
            for reader, files in mutants:
                answers.write(json.dumps(vars(judge(reader, files, place))) + "\n")
                answers.flush()
    finally:
        os._exit(0)


def _limit() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, signal.SIG_DFL)


def judge(reader: Reader, files: Files, place: Path) -> Verdict:
    """Write the files, read them as `reader` does, and judge what happens."""
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        folder = Path(temporary) / "m"
        os.environ["HANMO_CACHE"] = str(Path(temporary) / "cache")
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        with redirect_stderr(StringIO()) as said:
            answer = _answer(lambda: READERS[reader](folder))
        signal.setitimer(signal.ITIMER_PROF, 0)
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) << 10
        shutil.rmtree(folder, ignore_errors=True)
    clean = answer.answer.replace(temporary, "")
    if growth > GROWTH + 20 * sum(map(len, files.values())):
        return Verdict(f"takes {growth >> 20} MB for {sum(map(len, files.values()))} bytes: {clean}", True)
    if time.process_time() - started > SECONDS / 2:
        return Verdict(f"takes {time.process_time() - started:.0f} seconds: {clean}", True)
    if "Traceback" in said.getvalue() or "Warning" in said.getvalue():
        return Verdict(f"says {said.getvalue()[-300:]}", True)
    return Verdict(clean, answer.finding)


def _answer(read: Callable[[], str | None]) -> Verdict:
    try:
        said = read()
    except HanmoError as error:
        text = str(error)
        wrong = (
            len(text.splitlines()) != 1 or len(text) > LONGEST_LINE or any(not each.isprintable() and not each.isspace() for each in text)
        )
        return Verdict(f"{'no plain line: ' if wrong else ''}{type(error).__name__}: {text[:400]!r}", wrong)
    except BaseException as error:
        frames = [each for each in traceback.extract_tb(sys.exc_info()[2]) if "hanmo" in each.filename and "fuzz/" not in each.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else "?"
        words: Any = str(error)[:200]
        return Verdict(f"{type(error).__name__} at {where}: {words!r}", True)
    return Verdict(said or "read", False)
