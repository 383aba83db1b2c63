"""How text is cut into pre-tokens, inside which byte pairs are merged.

The regular expressions are those of published tokenizers, so that llama.cpp and other engines, which know them by name,
give the same ids: `gpt2` (Radford et al. 2019), `gpt4` (cl100k, and Llama 3 and Qwen2 with 3 and 1 digits), `deepseek`
(DeepSeek V3: runs of Chinese stand alone, and full-width punctuation never clings to a word).
"""

import re

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, FixedLength, PreTokenizer, Sequence, Split

from hanmo.tokenizer.config import PreTokenizerName

GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK_CHINESE = r"[一-龥぀-ゟ゠-ヿ]+"

LONGEST_CHINESE_RUN, LONGEST_PRE_TOKEN = 8, 64

# Invisible marks before and after a word, for tokenizers of kind "word".
FIRST, LAST = "\x02", "\x03"

# Places where a pre-token ends under every pattern above, whatever stands farther away. Not after several line ends:
# gpt2 sees whether a word follows, and cuts them otherwise when none does.
_SAFE_CUT = re.compile(r"(?<=\S\n)(?=\S)|(?<=\S)(?= )|(?<=[一-龥])(?=[，。！？；：、])")


def pre_tokenizer(name: PreTokenizerName, digits_per_token: int, *, training: bool = False, as_bytes: bool = True) -> PreTokenizer:
    """Cut by the named pattern, then show every byte as a character where `as_bytes` says so.

    In training, long pre-tokens are cut further: a Chinese clause is hardly ever seen twice, and the library keeps some
    hundred bytes for every byte of a distinct pre-token (its issue 1795).
    """
    steps = list(_steps(name, digits_per_token))
    if training:
        steps += [_split(rf"\p{{Han}}{{1,{LONGEST_CHINESE_RUN}}}"), FixedLength(LONGEST_PRE_TOKEN)]
    return Sequence([*steps, ByteLevel(add_prefix_space=False, use_regex=False)] if as_bytes else steps)


def _steps(name: PreTokenizerName, digits_per_token: int) -> list[PreTokenizer]:
    count = "" if digits_per_token == 1 else f"{{1,{digits_per_token}}}"
    if name == "gpt4":
        return [_split(GPT4 % count)]
    if name == "deepseek":
        return [_split(r"\p{N}" + count), _split(DEEPSEEK_CHINESE), _split(DEEPSEEK)]
    digits = [Digits(individual_digits=True)] if digits_per_token == 1 else [_split(r"\p{N}" + count)]
    return [*digits, _split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]


def _split(pattern: str) -> PreTokenizer:
    return Split(Regex(pattern), "isolated")


def cut(text: str, longest: int, *, anywhere: bool = False) -> list[str]:
    """Cut a long text where no token could straddle, so that its pieces encode to the same ids as the whole.

    Pieces have at least `longest` characters except the last, and more where a text offers no such place; with
    `anywhere`, never more than twice as many, and then a token may be lost at the cut.

    >>> cut("one two three", 5)
    ['one two', ' three']
    >>> cut("onetwothree", 5, anywhere=True)
    ['onetwothre', 'e']
    """
    pieces: list[str] = []
    start = 0
    while len(text) - start > longest:
        found = _SAFE_CUT.search(text, start + longest, start + 2 * longest) if anywhere else _SAFE_CUT.search(text, start + longest)
        if found is None and not (anywhere and len(text) - start > 2 * longest):
            break
        end = start + 2 * longest if found is None else found.start()
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]
