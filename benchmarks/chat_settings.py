"""How a small model answers under a few ways of drawing: does it end, does it repeat itself, how long does it talk.

python benchmarks/chat_settings.py [--models NAME ...] [--texts N] [--max-tokens N] [--json]

Twenty prompts, ten of them Chinese, `texts` answers each. A model with a chat template answers under it; one without goes on
behind "Question: ... Answer:", where ending by itself means little and repeating itself says the same as ever.
ended: share of the answers that the model ended itself. repeated: share of 4-grams of tokens that stood in the answer before.
loops: share of the answers in which more than half are. tokens: the mean length.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hanmo.convert.sources import local_model
from hanmo.generate.continuation import Generation
from hanmo.generate.loaded import TextModel
from hanmo.generate.options import SamplingOptions, changed
from hanmo.generate.prompt import Prompt
from hanmo.tokenizer.chat import read_template

ENGLISH = (
    "What is the capital of France?",
    "Tell me a short story about a cat that is afraid of the sea.",
    "How do I cook rice?",
    "Explain what a prime number is to a child.",
    "Write a polite letter that cancels a dentist's appointment.",
    "Why is the sky blue?",
    "Give me three ideas for a birthday present.",
    "Translate into French: good morning, my friend.",
    "What should I know before I buy a used bicycle?",
    "Write four lines of a poem about winter.",
)
CHINESE = (
    "法国的首都是哪里？",
    "讲一个怕海的小猫的短故事。",
    "怎么煮米饭？",
    "请给小孩子解释什么是质数。",
    "写一封取消看牙预约的客气的信。",
    "天空为什么是蓝色的？",
    "给我三个生日礼物的主意。",
    "把这句话翻译成英文：早上好，我的朋友。",
    "买二手自行车之前应该知道什么？",
    "写四行关于冬天的诗。",
)
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "temperature 1": {},
    "greedy": {"greedy": True},
    "greedy, penalty 1.1": {"greedy": True, "repetition_penalty": 1.1},
    "0.7": {"temperature": 0.7},
    "0.7, top-p 0.9": {"temperature": 0.7, "top_p": 0.9},
    "0.7, min-p 0.1": {"temperature": 0.7, "min_p": 0.1},
    "0.7, min-p 0.1, penalty 1.1": {"temperature": 0.7, "min_p": 0.1, "repetition_penalty": 1.1},
    "0.7, min-p 0.1, penalty 1.2": {"temperature": 0.7, "min_p": 0.1, "repetition_penalty": 1.2},
    "0.7, min-p 0.1, DRY 0.8": {"temperature": 0.7, "min_p": 0.1, "dry_multiplier": 0.8},
    "0.3, min-p 0.1, penalty 1.1": {"temperature": 0.3, "min_p": 0.1, "repetition_penalty": 1.1},
    "0.3, min-p 0.1, DRY 0.8": {"temperature": 0.3, "min_p": 0.1, "dry_multiplier": 0.8},
}
LOOPS = 0.5


def repeated(ids: Sequence[int], size: int = 4) -> float:
    """The share of n-grams that stood in the text before."""
    grams = [tuple(ids[start : start + size]) for start in range(len(ids) - size + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def prompts_of(model: TextModel, texts: Sequence[str]) -> list[Prompt]:
    """The questions as the model is asked them."""
    if read_template(model.folder) is None:
        return [f"Question: {text}\nAnswer:" for text in texts]
    chat = model.chat()
    return [chat.encode([{"role": "user", "content": text}], answer=True) for text in texts]


def summed(made: Sequence[Generation]) -> dict[str, float]:
    """What is told of some answers."""
    shares = [repeated(each.ids) for each in made]
    return {
        "ended": sum(each.finish_reason == "eot" for each in made) / len(made),
        "repeated": sum(shares) / len(made),
        "loops": sum(share > LOOPS for share in shares) / len(made),
        "tokens": sum(len(each.ids) for each in made) / len(made),
    }


def main() -> None:
    """Ask, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["smollm2-135m-instruct", "gemma3-270m"])
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--texts", type=int, default=2)
    parser.add_argument("--max-tokens", type=int, default=320)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--show", action="store_true", help="print the first answers too")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {"max_tokens": given.max_tokens, "precision": given.precision}
    print(f"{'':44s} {'English':>32s} {'Chinese':>32s}\n{'':44s}" + "    ended repeated  loops tokens" * 2)
    for name in given.models:
        model = TextModel(local_model(Path(name)), dtype=given.precision)
        prompts = prompts_of(model, [*ENGLISH, *CHINESE])
        plain = SamplingOptions(max_tokens=given.max_tokens, num_return_sequences=given.texts, seed=1)
        for setting in given.settings:
            begun = time.monotonic()
            made = model.generations(prompts, changed(plain, SETTINGS[setting]))
            half = len(ENGLISH) * given.texts
            parts = {"English": summed(made[:half]), "Chinese": summed(made[half:])}
            result.setdefault(name, {})[setting] = parts
            cells = "".join(
                f"   {each['ended']:6.2f} {each['repeated']:8.3f} {each['loops']:6.2f} {each['tokens']:6.0f}" for each in parts.values()
            )
            print(f"{name[:14]:14s} {setting:29s}{cells}   {time.monotonic() - begun:4.0f}s", flush=True)
            if given.show:
                for each in (*made[: 6 * given.texts : given.texts], *made[half : half + 4 * given.texts : given.texts]):
                    print(f"    [{each.finish_reason}] {each.text[:300]!r}")
    if given.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
