"""Whether our GGUF files say elsewhere what the model says here: llama.cpp beside our float32, same model, same text.

    make peers-llama                                       # llama.cpp, compiled here, in an environment of its own
    .venv/bin/python benchmarks/export_quality.py [--parts words text perplexity families] [--windows 16] [--text FILE] \
        [--calibrate self] --json

SmolLM2-135M-Instruct (hanmo fetch), whose matrices come as Q4_1, is loaded in float32 and exported as F32, F16, Q8_0, Q4_1,
Q4_0 with the steps that ggml takes and Q4_0 with steps fitted to text that the model writes (six minutes; --calibrate takes another
text); llama.cpp reads each file (benchmarks/llama_reader.py says how). words: ids of texts, ids of conversations, the chat template. text:
64 greedy tokens after 20 prompts, and, where they part, by how much our logits prefer ours to theirs. perplexity: of --text in windows of
512 tokens, every token but the first of each; llama.cpp on a file, and our float32 on the weights that are in it, against our float32
on the model's own. families: a random small model of each layout that GGUF has, as F32, its ids and logits against ours.
"""

import argparse
import dataclasses
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llama_reader import PEERS, LlamaCpp

TEXT = Path(__file__).parents[2] / "shared" / "data" / "wikitext2" / "valid.txt"
MODEL, WINDOW, NEW = "smollm2-135m-instruct", 512, 64
FORMATS = ("f32", "f16", "q8_0", "q4_1", "q4_0", "q4_0 fitted")
ALLOWED = {"q8_0": 0.01, "q4_1": 0.05, "q4_0": 0.05, "q4_0 fitted": 0.05}
QUESTIONS = (
    "What is the capital of Norway?", "Name four birds.", "Write one sentence about an old bridge.", "How many minutes are in two hours?",
    "Who painted the Mona Lisa?", "Explain what a lake is to a child.", "Give me three rules for a good letter.",
    "Is ice heavier than water?",
    "用中文介绍一下你自己。", "把“早上好”翻译成英文。", "Turn this into a list: bread, milk, salt.", "Why do leaves fall in autumn?",
)  # fmt: skip
BEGINNINGS = (
    "The lighthouse keeper climbed the stairs and", "In 1911, the expedition", "def is_prime(n):\n    ", "Dear Sir or Madam,\n\n",
    "从前有一座山，山上有", "Ingredients:\n- 2 eggs\n- ", "The three states of matter are", "北京是中国的",
)  # fmt: skip
WORDS = (
    "The rain had stopped.", "她把信折好，放进抽屉，什么也没有说。", "两岸猿声啼不住 １２３，ＡＢＣ！", "🙂👩‍👩‍👧‍👦 🇳🇴 e\u0301 é",
    "  a   b\t\tc \n\n\n  d\r\n ", " ", "",
    "12345678 3.14159 1,000,000", "don't WE'LL it'S", "x = {'a': [1, 2]}  # ok\n\tif not x:\n\t\treturn\n",
    "<|im_start|>user\n<|im_end|> </s>",
    "Ελληνικά русский العربية हिन्दी 한국어 日本語",
    "\u00a0no-break\u3000ideographic\u200bzero", "ſ ﬁ Ⅷ ½ ² ㎏",
    "https://a.example/b?c=d&e=%20",
)  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def read_alike(folder: Path, reader: LlamaCpp) -> dict[str, object]:
    """How many texts and conversations have the same ids, and whether the chat template is the same."""
    from hanmo.tokenizer.chat import Chat, read_template
    from hanmo.tokenizer.load import Tokenizer

    tokenizer, template = Tokenizer.load(folder), read_template(folder)
    pairs = [(text, tokenizer.encode(text).tolist(), theirs) for text, theirs in zip(WORDS, reader.ids(WORDS, special=False), strict=True)]
    if template:
        chat = Chat.load(folder)
        talks = [chat.encode([{"role": "user", "content": text}], answer=True) for text in QUESTIONS]
        texts = [talk.text for talk in talks]
        theirs = reader.ids(texts, special=True)
        pairs += [(text, talk.ids.tolist(), ids) for text, talk, ids in zip(texts, talks, theirs, strict=True)]
    differ = [text for text, one, other in pairs if one != other]
    return {
        "texts": len(pairs),
        "texts_with_equal_ids": len(pairs) - len(differ),
        "differing": differ,
        "template_equal": reader.about["template"] == template,
    }


def prompts_of(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """The twenty prompts with their ids."""
    from hanmo.tokenizer.chat import Chat
    from hanmo.tokenizer.load import Tokenizer

    chat, tokenizer = Chat.load(folder), Tokenizer.load(folder)
    for text in QUESTIONS:
        yield text, chat.encode([{"role": "user", "content": text}], answer=True).ids.tolist()
    for text in BEGINNINGS:
        yield text, tokenizer.encode(text).tolist()


def greedy(network: Any, ids: Sequence[int], ends: Sequence[int]) -> tuple[list[int], list[Any]]:
    """The likeliest tokens one after another up to one of `ends`, and the logits that each was drawn from."""
    import torch

    from hanmo.generate.reader import make_reader

    reader, made, seen = make_reader(network, NEW), [], []
    with torch.inference_mode():
        logits = reader.read([list(ids)])
        while len(made) < NEW:
            seen.append(logits[0])
            made.append(int(logits[0].argmax()))
            if made[-1] in ends:
                break
            logits = reader.read([made[-1:]])
    return made, seen


def same_text(folder: Path, readers: dict[str, LlamaCpp]) -> dict[str, object]:
    """For each file, the prompts whose greedy text is ours, and where and how near the others part."""
    from hanmo.model.store import load_model, read_generation

    network, ends = load_model(folder), read_generation(folder).get("eos_token_id")
    ends = ends if isinstance(ends, list) else [ends]
    found: dict[str, Any] = {name: {"equal": 0, "first_differences": []} for name in readers}
    count = 0
    for text, ids in prompts_of(folder):
        made, seen = greedy(network, ids, ends)
        count += 1
        for name, reader in readers.items():
            theirs = reader.greedy(ids, NEW, ends)
            if theirs == made:
                found[name]["equal"] += 1
                continue
            place = next(at for at, pair in enumerate(zip(made, theirs, strict=False)) if pair[0] != pair[1])
            gap = float(seen[place][made[place]] - seen[place][theirs[place]])
            found[name]["first_differences"].append({"prompt": text, "token": place, "logit_gap": gap})
    return {"prompts": count, **found}


def windows_of(text: Path, folder: Path, count: int) -> list[list[int]]:
    """The first windows of a text."""
    from hanmo.tokenizer.load import Tokenizer

    ids = [int(each) for each in Tokenizer.load(folder).encode(text.read_text("utf-8")[: count * WINDOW * 8])]
    return [ids[start : start + WINDOW] for start in range(0, count * WINDOW, WINDOW)]


def our_nats(network: Any, windows: Sequence[Sequence[int]]) -> float:
    """Sum of negative log-likelihoods of all tokens but the first of each window, in float32."""
    import torch

    from hanmo.model.likelihood import token_log_probs

    total = 0.0
    with torch.inference_mode():
        for ids in torch.tensor(windows):
            total -= float(token_log_probs(network(ids[None])[:, :-1], ids[None, 1:]).double().sum())
    return total


def perplexities(folder: Path, files: dict[str, Path], readers: dict[str, LlamaCpp], windows: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Perplexity of our float32, and for each file that of llama.cpp and of our float32 on its weights."""
    from hanmo.convert.gguf import read_decoder
    from hanmo.convert.gguf_reader import GgufFile
    from hanmo.model.store import load_model

    count = sum(len(window) - 1 for window in windows)
    own = math.exp(our_nats(load_model(folder), windows) / count)
    found: dict[str, Any] = {"tokens": count, "ours_float32": own}
    for name, reader in readers.items():
        theirs = math.exp(reader.nats(windows) / count)
        weights = math.exp(our_nats(read_decoder(GgufFile(files[name])), windows) / count)
        found[name] = {"llamacpp": theirs, "llamacpp_vs_float32": theirs / own, "our_float32_on_its_weights": weights}
    return found


def small_models() -> dict[str, tuple[Any, dict[str, Any]]]:
    """A configuration of each layout, with the settings of its tokenizer."""
    from hanmo.model.config import DecoderConfig, RopeScaling

    small = DecoderConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=96,
        norm_eps=1e-5,
    )  # fmt: skip
    alike = {"position_embedding": "learned", "norm": "layer_norm", "gated_mlp": False, "attention_bias": True, "mlp_bias": True}
    gemma = {"hidden_act": "gelu_pytorch_tanh", "rope_theta": 1e6, "rope_local_base_freq": 1e4, "sliding_window": 7, "head_dim": 32}
    gemma |= {"qk_norm": True, "sandwich_norm": True, "zero_centered_norm": True, "scale_embedding": True, "num_hidden_layers": 7}
    slides = (*("sliding_attention",) * 5, "full_attention")
    llama3 = RopeScaling(rope_type="llama3", factor=8.0, original_max_position_embeddings=48)
    yarn = RopeScaling(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)
    smollm, gpt4, qwen = ({"pre_tokenizer": name, "digits_per_token": digits} for name, digits in (("gpt2", 1), ("gpt4", 3), ("gpt4", 1)))
    deepseek = {"pre_tokenizer": "deepseek", "digits_per_token": 3}
    changed = dataclasses.replace
    return {
        "llama": (changed(small, tie_word_embeddings=False), deepseek),
        "llama, biases": (changed(small, attention_bias=True), smollm),
        "llama, llama3 positions": (changed(small, rope_scaling=llama3, rope_theta=500.0, head_dim=24), gpt4),
        "llama, linear positions": (changed(small, rope_scaling=RopeScaling(rope_type="linear", factor=3.0)), gpt4),
        "llama, yarn positions": (changed(small, rope_scaling=yarn), gpt4),
        "mistral, its window the context": (changed(small, sliding_window=96), smollm),
        "qwen2": (changed(small, qkv_bias=True, rope_theta=1e6), qwen),
        "qwen3": (changed(small, head_dim=32, qk_norm=True, rope_theta=1e6), qwen),
        "gemma3": (changed(small, **gemma, layer_types=slides), deepseek),
        "gpt2": (changed(small, **alike, num_key_value_heads=0, hidden_act="gelu_pytorch_tanh"), smollm),
    }


def small_folder(place: Path, config: Any, words: dict[str, Any]) -> Path:
    """A random model with a tokenizer of its own."""
    import torch

    from hanmo.model.decoder import Decoder
    from hanmo.model.store import save_model
    from hanmo.tokenizer.config import TokenizerConfig
    from hanmo.tokenizer.load import Tokenizer
    from hanmo.tokenizer.train import train_tokenizer

    torch.manual_seed(0)
    trained = train_tokenizer([*WORDS, *QUESTIONS, *BEGINNINGS] * 2, TokenizerConfig(kind="bpe", vocab_size=420, **words))
    trained.save(place / "tokenizer")
    (place / "tokenizer" / "chat_template.jinja").write_text(TEMPLATE)
    tokenizer = Tokenizer.load(place / "tokenizer")
    config = dataclasses.replace(config, vocab_size=tokenizer.vocab_size + 3, eos_token_id=tokenizer.eot_id, initializer_range=0.2)
    network = Decoder(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    save_model(network, place / "model", tokenizer_folder=place / "tokenizer")
    return place / "model"


def small_family(place: Path, config: Any, words: dict[str, Any]) -> dict[str, object]:
    """A random model of one layout in llama.cpp and here: ids, and the largest difference of logits beside their spread."""
    import torch

    from hanmo.convert.gguf import export_gguf
    from hanmo.model.store import load_model

    folder = small_folder(place, config, words)
    export_gguf(folder, place / "m.gguf", "f32")
    network, reader = load_model(folder), LlamaCpp(place / "m.gguf")
    ids = [(37 * at + 11) % 400 for at in range(90)]
    with torch.inference_mode():
        ours = network(torch.tensor([ids]))[0]
    theirs = torch.tensor(reader.logits(ids))
    alike = read_alike(folder, reader)
    reader.end()
    likeliest = int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    return {
        **alike,
        "logits_differ_by": float((ours - theirs).abs().max()),
        "logits_spread": float(ours.std()),
        "likeliest_equal": likeliest,
    }


def show(result: dict[str, Any]) -> None:
    """What has been found so far."""
    if found := result.get("words"):
        print(f"ids: {found['texts_with_equal_ids']} of {found['texts']} texts equal, template equal: {found['template_equal']}")
        print("".join(f"  differs: {text!r}\n" for text in found["differing"]), end="")
    for name, each in (result.get("text") or {}).items():
        if isinstance(each, dict):
            print(f"greedy text, {name}: {each['equal']} of {result['text']['prompts']} equal to our float32")
            for one in each["first_differences"]:
                print(f"  parts at token {one['token']:2}, our logits {one['logit_gap']:.4f} apart: {one['prompt']!r}")
    if found := result.get("perplexity"):
        print(f"perplexity of {found['tokens']} tokens: {found['ours_float32']:.4f} in our float32")
        for name in FORMATS:
            each = found[name]
            more = 100 * (each["llamacpp_vs_float32"] - 1)
            ours = each["our_float32_on_its_weights"]
            print(f"  {name:11} {each['llamacpp']:9.4f} in llama.cpp ({more:+.2f} %), {ours:9.4f} in our float32 on its weights")
    for name, each in (result.get("families") or {}).items():
        said = f"logits differ by {each['logits_differ_by']:.1e} of a spread of {each['logits_spread']:.1f}"
        alike = f"{each['likeliest_equal']} of 90 likeliest equal, {each['texts_with_equal_ids']} of {each['texts']} texts"
        print(f"{name:32} {said}, {alike}, template {each['template_equal']}")
        print("".join(f"  differs: {text!r}\n" for text in each["differing"]), end="")


def real_model(options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """The parts that ask SmolLM2."""
    from hanmo.cli import export
    from hanmo.convert.sources import local_model

    folder, result = local_model(MODEL), dict[str, Any]()
    files = {name: place / f"{name}.gguf" for name in FORMATS}
    for name, file in files.items():
        precision, *fitted = name.split()
        words = [str(folder), "--to", "gguf", "--precision", precision, "--out", str(file)]
        facts = export.run(export.parse([*words, "--calibrate", options.calibrate] if fitted else words))
        result |= {"fit": facts["nats_from_full_precision"]} if fitted else {}
    readers = {name: LlamaCpp(file) for name, file in files.items()}
    if "words" in options.parts:
        result["words"] = read_alike(folder, readers["f16"])
        show({"words": result["words"]})
    if "text" in options.parts:
        usual = LlamaCpp(files["f16"], usual=True)
        result["text"] = same_text(folder, {**readers, "f16, usual settings": usual})
        show({"text": result["text"]})
        usual.end()
    if "perplexity" in options.parts:
        result["perplexity"] = perplexities(folder, files, readers, windows_of(options.text, folder, options.windows))
        show({"perplexity": result["perplexity"]})
        result["within"] = {name: result["perplexity"][name]["llamacpp_vs_float32"] <= 1 + most for name, most in ALLOWED.items()}
    result["llamacpp_version"] = readers["f16"].about["version"]
    for reader in readers.values():
        reader.end()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["words", "text", "perplexity", "families"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--calibrate", default="self", help="what the fitted file is fitted to")
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not PEERS.exists():
        raise SystemExit("llama.cpp is not here: make peers-llama")
    if "perplexity" in options.parts and not options.text.exists():
        raise SystemExit(f"{options.text} is not here: give --text, or leave perplexity out of --parts")
    from hanmo.base.runtime import machine, versions

    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        if set(options.parts) - {"families"}:
            result = real_model(options, Path(place))
        if "families" in options.parts:
            result["families"] = {}
            for name, (config, words) in small_models().items():
                result["families"][name] = small_family(Path(place) / name, config, words)
                show({"families": {name: result["families"][name]}})
    if options.json:
        print(json.dumps({**result, "machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
