"""Word pieces as BERT has them: the longest known beginning of a word, then the longest known continuations, written ##.

In: texts, or a `vocab.txt`. Out: a backend whose ids are those of BERT's own tokenizer (Devlin et al. 2019).
What is lost: spacing, control characters, capitals and accents where `lowercase` asks for that, and words that hold a
character outside the vocabulary, which become [UNK]. Read back exactly: words divided by single spaces, each of
. , ! ? ; : % ) ] } closing up to the left, ( [ { to the right, an apostrophe between letters to both sides, and Chinese
without spaces. Of every other text without [UNK], what is read back has the same ids as the text. Whether a space is dropped
depends on what stands just before and after it, never on later tokens, so that a text can be shown while it grows.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from hanmo.base.errors import ModelError

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = (PAD, UNK, CLS, SEP, MASK)
ROLES = {"bos_token": CLS, "eos_token": CLS, "unk_token": UNK, "pad_token": PAD, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK}
"""[CLS] stands before every document, so it also says that the one before has ended."""
CONTINUED = "##"
VOCAB_FILE = "vocab.txt"

# Of Chinese, what BERT cuts on both sides without being asked by a space.
_CHINESE = r"[㐀-䶿一-鿿豈-﫿\x{20000}-\x{2a6df}、。〈-】〔-〟！-／：；？＠［＼］＿｛｝｡-･&&[[\p{Han}]||[\p{P}]]]"


def wordpiece_backend(vocabulary: dict[str, int], *, lowercase: bool) -> tokenizers.Tokenizer:
    """BERT's rules over a vocabulary."""
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=UNK, continuing_subword_prefix=CONTINUED))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)  # pyright: ignore[reportAttributeAccessIssue]
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    backend.decoder = decoders.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            decoders.WordPiece(prefix=CONTINUED, cleanup=False),
            decoders.Fuse(),
            decoders.Replace(Regex(r" (?=[.,!?;:%)\]}])|(?<=[(\[{]) "), ""),
            decoders.Replace(Regex(r"(?<=\p{L}) (?=['’])|(?<=\p{L} ['’]) (?=\p{L})"), ""),
            decoders.Replace(Regex(f" (?={_CHINESE})|(?<={_CHINESE}) "), ""),
        ]
    )
    return backend


def train_wordpiece(pieces: Sequence[str], *, vocab_size: int, min_frequency: int, lowercase: bool) -> tokenizers.Tokenizer:
    """A vocabulary by merging frequent neighbours inside words, as BERT's was; [PAD] [UNK] [CLS] [SEP] [MASK] come first.

    The library numbers continuing characters in the order of a random hash, and ties between merges go by number; they
    are given to it in order instead, so that the same texts give the same vocabulary.
    """
    backend = wordpiece_backend({token: id for id, token in enumerate(SPECIAL)}, lowercase=lowercase)
    heads, tails = _characters(pieces, backend)
    kept = _alphabet(heads, tails, vocab_size - len(SPECIAL))
    rare = re.compile("|".join(map(re.escape, sorted((heads.keys() | tails.keys()) - kept))) or r"(?!)")
    # Not the backend's own normalizer: it is locked while its trainer asks for the next text.
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    clean = (rare.sub(" ", normalizer.normalize_str(piece)) for piece in pieces)
    first = [*SPECIAL, *(CONTINUED + each for each in sorted(kept & tails.keys()))]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=first, initial_alphabet=sorted(kept), show_progress=False
    )
    backend.train_from_iterator(clean, trainer)
    order = sorted(backend.get_vocab(with_added_tokens=False).items(), key=lambda entry: entry[1])
    return wordpiece_backend({token: id for id, (token, _) in enumerate(order)}, lowercase=lowercase)


def _characters(pieces: Sequence[str], backend: tokenizers.Tokenizer) -> tuple[Counter[str], Counter[str]]:
    """How often each character begins a word, and how often it continues one."""
    assert backend.normalizer is not None and backend.pre_tokenizer is not None
    chunks = Counter[str]()
    for piece in pieces:
        chunks.update(backend.normalizer.normalize_str(piece).split())
    heads, tails = Counter[str](), Counter[str]()
    for chunk, count in chunks.items():
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(chunk):
            heads[word[0]] += count
            for character in word[1:]:
                tails[character] += count
    return heads, tails


def _alphabet(heads: Counter[str], tails: Counter[str], room: int) -> set[str]:
    """The most frequent characters (as normalized) whose tokens, one to begin and one to continue a word, fit into `room`."""
    kept = set[str]()
    for character in sorted(heads.keys() | tails.keys(), key=lambda each: (-heads[each] - tails[each], each)):
        room -= 1 + (character in tails)
        if room < 0:
            break
        kept.add(character)
    return kept


def read_vocab(path: Path) -> dict[str, int]:
    """The tokens of a `vocab.txt`, one a line, the line's number from 0 being the id.

    Raises ModelError for a file that is none.
    """
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read as a vocabulary: {error}") from error
    tokens = [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    vocabulary = {token: id for id, token in enumerate(tokens)}
    if UNK not in vocabulary:
        raise ModelError(f"{path} is no vocab.txt of word pieces: it lacks {UNK}")
    if len(vocabulary) < len(tokens):
        twice = next(token for token, count in Counter(tokens).items() if count > 1)
        raise ModelError(f"{path} has the token {twice!r} twice: an id would be lost")
    return vocabulary


def vocab_text(tokens: Sequence[str]) -> str:
    """A `vocab.txt`: tokens in the order of their ids.

    Raises ModelError when a token holds a line end, or an id has no token.
    """
    for id, token in enumerate(tokens):
        if not token or "\n" in token or "\r" in token:
            raise ModelError(f"token {id} is {token!r}: vocab.txt cannot hold it")
    return "".join(token + "\n" for token in tokens)
