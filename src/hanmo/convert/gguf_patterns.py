"""How a byte-level tokenizer in a GGUF file cuts text, by the name that the file gives: regular expressions, applied one after another.

In: `tokenizer.ggml.pre`. Out: a pre-tokenizer. The names and what they mean are those of llama.cpp; a name that stands for cutting
rules that are no regular expressions (kimi-k2, afmoe) is not known here.
"""

from collections.abc import Callable

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

from hanmo.tokenizer.patterns import GPT4, pre_tokenizer

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
FRONT = r"[^\r\n\p{L}\p{N}]?"
CASED = rf"{FRONT}{UPPER}*{LOWER}+%s|{FRONT}{UPPER}+{LOWER}*%s|\p{{N}}%s| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{BLANKS}"
"""A word begins anew at a capital after small letters (o200k, Tekken)."""
SENTENCE = r" ?[^(\s|.,!?…。，、।۔،)]+"
CHINESE = "[一-龥\u0800-\u4e00가-\ud7ff]+"
CASED_LETTERS = (
    "B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376-377 37B-37D 37F 386 388-38A 38C 38E-3A1 "
    "3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 "
    "1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 "
    "1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 "
    "210A-2113 2115 2119-211D 2124 2126 2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183-2184 "
    "2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2-2CF3 A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF "
    "FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 "
    "118A0-118DF 1E900-1E943"
)
"""Letters that come large and small, by code point, as DeepSeek's first tokenizer lists them beside those of ASCII."""
DEFAULT = (r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")


def _letters() -> str:
    """The inside of a character class."""
    ranges = [each.partition("-") for each in CASED_LETTERS.split()]
    return "A-Za-z" + "".join(chr(int(first, 16)) + (f"-{chr(int(last, 16))}" if last else "") for first, _, last in ranges)


def _cuts(*patterns: str) -> Callable[[], PreTokenizer]:
    def make() -> PreTokenizer:
        splits = [Split(Regex(each), "isolated") for each in patterns]
        return Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])

    return make


def _after_digits() -> PreTokenizer:
    return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])


PATTERNS: dict[str, Callable[[], PreTokenizer]] = {
    "gpt-2": lambda: ByteLevel(add_prefix_space=False),
    "smollm": _after_digits,
    "llama-bpe": _cuts(GPT4 % "{1,3}"),
    "qwen2": _cuts(GPT4 % ""),
    "deepseek-v3": lambda: pre_tokenizer("deepseek", 3),
    "default": _cuts(*DEFAULT),
    "tekken": _cuts(CASED % ("", "", "")),
    "gpt-4o": _cuts(CASED % (f"{SHORT}?", f"{SHORT}?", "{1,3}")),
    "tiny_aya": _cuts(r"\d{1,3}(?=(?:\d{3})*\b)", CASED % (f"{SHORT}?", f"{SHORT}?", "{1,3}")),
    "qwen35": _cuts(rf"{SHORT}|{FRONT}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{BLANKS}"),
    "ufakzeka": _cuts(rf"{FRONT}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{BLANKS}"),
    "seed-coder": _cuts(rf"{SHORT}|{FRONT}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{BLANKS}"),
    "bailingmoe": _cuts(rf"{SHORT}|{FRONT}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"),
    "exaone-moe": _cuts(
        rf"{SHORT}|{FRONT}(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
    ),
    "falcon": _cuts(r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"),
    "deepseek-llm": _cuts(r"[\r\n]", rf"\s?[{_letters()}]+", "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", r"\s+$", CHINESE, r"\p{N}+"),
    "deepseek-coder": _cuts(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CHINESE, r"\p{N}"),
    "bloom": _cuts(SENTENCE),
    "viking": _cuts(SENTENCE, r"\p{N}"),
    "superbpe": _cuts(r"\p{N}+", r"(?=(\d{3})+(?!\d))"),
}
_ALIKE = {
    "gpt-2": "gpt2 phi-2 mpt olmo jais trillion granite-docling exaone4 gigachat a.x-4.0 mellum modern-bert jina-es jina-de "
    "jina-v2-es jina-v2-de",
    "smollm": "starcoder refact command-r codeshell exaone minerva-7b mellum2",
    "llama-bpe": "llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe glm4 chatglm-bpe",
    "qwen2": "deepseek-r1-qwen megrez kormo f2llmv2 stablelm2 hunyuan solar-open grok-2",
    "deepseek-v3": "hunyuan-dense joyai-llm hy_v4",
    "gpt-4o": "llama4 kanana2 talkie minimax-m2",
    "tiny_aya": "cohere2moe",
    "bailingmoe": "bailingmoe2 llada-moe",
    "bloom": "poro-chat gpt3-finnish",
}
SAME = {name: pattern for pattern, names in _ALIKE.items() for name in names.split()} | {"": "default"}
"""Names that cut as another does."""
WHOLE_FIRST = (
    *("tekken", "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
    "jina-v5-nano",
)
"""Names whose pre-tokens stay whole where the vocabulary has them, whatever the merges say."""
COMPOSED = ("qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2", "qwen35")
"""Names whose texts are normalised (NFC) first, as their own tokenizers do."""
OPENED = (*WHOLE_FIRST, "chameleon")
"""Names under which llama.cpp puts the opening token before a text where a file does not say (chameleon is not read here)."""
