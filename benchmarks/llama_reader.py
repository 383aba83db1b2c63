"""llama.cpp in a process of its own: a GGUF file is loaded, then each line of JSON is a question and gets a line of answer.

    .venv-llama/bin/python benchmarks/llama_reader.py FILE.gguf [--usual]

It runs where llama-cpp-python is (make peers-llama) and imports nothing of Hanmo. As exact as it goes: keys and values are kept in
float32, flash attention is off, weights are not repacked for the machine. What stays is llama.cpp's own: a matrix of F16 or Q8_0 is
multiplied with activations rounded to the same. `LlamaCpp` is the other end of the pipe.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parents[1] / ".venv-llama" / "bin" / "python"
CONTEXT, THREADS = 2048, 2
ERROR = 4
"""ggml's level of a line that tells of one; a line goes on in levels above."""


class LlamaCpp:
    """A file loaded by llama.cpp, which answers questions; `usual` leaves its settings as llama.cpp has them."""

    def __init__(self, file: Path, *, usual: bool = False) -> None:
        command = [str(PEERS), __file__, str(file), *(["--usual"] if usual else [])]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._answer()

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit("llama.cpp ended early: its error stands above")
        return json.loads(line)

    def _ask(self, what: str, *arguments: object) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([what, arguments]) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def ids(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """The ids of each text, opened as the file asks; `special`: a special token's name in it is that token."""
        return self._ask("ids", list(texts), special)

    def logits(self, ids: Sequence[int]) -> list[list[float]]:
        """The logits after each id."""
        return self._ask("logits", list(ids))

    def greedy(self, ids: Sequence[int], count: int, ends: Sequence[int]) -> list[int]:
        """The likeliest ids one after another, up to one of `ends`."""
        return self._ask("greedy", list(ids), count, list(ends))

    def nats(self, windows: Sequence[Sequence[int]]) -> float:
        """Sum of negative log-likelihoods of all ids but the first of each window."""
        return self._ask("nats", [list(window) for window in windows])

    def end(self) -> None:
        """Let the process go."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()


class _Model:
    """The other side: llama.cpp through its C interface."""

    def __init__(self, file: str, *, usual: bool) -> None:
        import llama_cpp  # pyright: ignore[reportMissingImports]
        import numpy

        self.api, self.numpy = llama_cpp, numpy
        llama_cpp.llama_backend_init()
        self._quiet = llama_cpp.llama_log_callback(lambda level, text, _: sys.stderr.write(text.decode()) if level == ERROR else None)
        llama_cpp.llama_log_set(self._quiet, None)
        loading, settings = llama_cpp.llama_model_default_params(), llama_cpp.llama_context_default_params()
        settings.n_ctx = settings.n_batch = CONTEXT
        settings.n_threads = settings.n_threads_batch = THREADS
        if not usual:
            loading.use_extra_bufts = False
            settings.type_k = settings.type_v = llama_cpp.GGML_TYPE_F32
            settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.model = llama_cpp.llama_model_load_from_file(file.encode(), loading)
        self.context = self.model and llama_cpp.llama_init_from_model(self.model, settings)
        if not self.context:
            raise SystemExit(f"llama.cpp does not load {file}")
        self.words = llama_cpp.llama_model_get_vocab(self.model)
        self.size = llama_cpp.llama_vocab_n_tokens(self.words)
        self.batch = llama_cpp.llama_batch_init(CONTEXT, 0, 1)

    def about(self) -> dict[str, object]:
        template = self.api.llama_model_chat_template(self.model, None)
        ends = [id for id in range(self.size) if self.api.llama_vocab_is_eog(self.words, id)]
        return {
            "version": self.api.__version__,
            "template": template and template.decode(),
            "ends": ends,
            "opens": bool(self.api.llama_vocab_get_add_bos(self.words)),
        }

    def ids(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        found = []
        for text in texts:
            raw = text.encode()
            room = (self.api.llama_token * (len(raw) + 16))()
            count = self.api.llama_tokenize(self.words, raw, len(raw), room, len(room), True, special)
            found.append(list(room[:count]))
        return found

    def _read(self, ids: Sequence[int], start: int, wanted: str) -> Any:
        """Logits after every id ("all") or after the last."""
        batch = self.batch
        batch.n_tokens = len(ids)
        for place, token in enumerate(ids):
            batch.token[place], batch.pos[place], batch.n_seq_id[place], batch.seq_id[place][0] = token, start + place, 1, 0
            batch.logits[place] = wanted == "all" or place == len(ids) - 1
        if self.api.llama_decode(self.context, batch):
            raise SystemExit("llama_decode failed")
        rows = len(ids) if wanted == "all" else 1
        return self.numpy.ctypeslib.as_array(self.api.llama_get_logits(self.context), (rows, self.size))

    def _forget(self) -> None:
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def logits(self, ids: Sequence[int]) -> list[list[float]]:
        self._forget()
        return self._read(ids, 0, "all").tolist()

    def greedy(self, ids: Sequence[int], count: int, ends: Sequence[int]) -> list[int]:
        self._forget()
        logits, made = self._read(ids, 0, "last"), []
        while len(made) < count:
            made.append(int(logits[0].argmax()))
            if made[-1] in ends:
                break
            logits = self._read(made[-1:], len(ids) + len(made) - 1, "last")
        return made

    def nats(self, windows: Sequence[Sequence[int]]) -> float:
        total = 0.0
        for ids in windows:
            self._forget()
            for logits, token in zip(self._read(ids, 0, "all"), ids[1:], strict=False):
                total += float(self.numpy.logaddexp.reduce(logits.astype(self.numpy.float64)) - logits[token])
        return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--usual", action="store_true", help="llama.cpp's own settings: F16 cache, flash attention, repacked weights")
    options = parser.parse_args()
    model = _Model(options.file, usual=options.usual)
    print(json.dumps(model.about()), flush=True)
    for line in sys.stdin:
        what, arguments = json.loads(line)
        print(json.dumps(getattr(model, what)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
