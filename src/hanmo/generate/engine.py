"""From prompts to texts: each request goes to the loop its options ask for.

In: a network, a tokenizer, prompts, options. Out: `Generation`s, prompt by prompt, and text as soon as it is certain.
What a sequence becomes depends on its prompt, its seed and its number among the sequences of that prompt, not on what
shares the batch (scheduler.py says what that means for the last bits).
"""

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence

from hanmo.base.errors import UsageError
from hanmo.base.progress import say
from hanmo.base.runtime import derive_seed
from hanmo.generate.constrain import cut_note, form_of
from hanmo.generate.continuation import Chosen, Continuation, Generation, RequestLimits
from hanmo.generate.options import SamplingOptions
from hanmo.generate.prefix_cache import PrefixCache
from hanmo.generate.prompt import Prompt, opening
from hanmo.generate.reader import context_of, make_reader
from hanmo.generate.sample import words_of
from hanmo.generate.scheduler import CHUNK, Scheduler
from hanmo.generate.scored import tell_prompts
from hanmo.generate.search import beam_search, contrastive_search
from hanmo.generate.speculate import AcceptanceCounts, Draft, Lookup, price_of, speculate
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.store import Writer
from hanmo.tokenizer.load import Tokenizer

REMEMBERED = 16_384
"""Tokens of prompts that one call remembers for its other prompts."""


def generate(
    network: Writer,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    options: SamplingOptions,
    *,
    on_text: Callable[[int, str], None] | None = None,
    end_ids: Sequence[int] = (),
    cache: bool = True,
    draft: Writer | None = None,
) -> list[Generation]:
    """`options.num_return_sequences` continuations of each prompt, prompt by prompt.

    on_text is told (number of the sequence, new text) as text becomes certain. end_ids are tokens that end a text
    beside the tokenizer's own. draft: a smaller model with the same tokenizer that guesses ahead (options.speculate).
    Raises UsageError for a prompt that does not fit the context.
    """
    events = stream(network, tokenizer, prompts, options, end_ids=end_ids, cache=cache, draft=draft)
    while True:
        try:
            number, piece = next(events)
        except StopIteration as finished:
            return finished.value
        if on_text is not None:
            on_text(number, piece)


def stream(
    network: Writer,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    options: SamplingOptions,
    *,
    end_ids: Sequence[int] = (),
    cache: bool = True,
    draft: Writer | None = None,
) -> Generator[tuple[int, str], None, list[Generation]]:
    """As `generate`, giving (number of the sequence, new text) on the way and the generations at the end."""
    seed = secrets.randbits(32) if options.seed is None else options.seed
    limits = limits_of(network, tokenizer, options, end_ids)
    for note in () if limits.form is None else limits.form.notes:
        say(note)
    sequences = [one for prompt in prompts for one in continuations(network, prompt, seed, tokenizer, limits)]
    for number, each in enumerate(sequences):
        each.number = number
    if options.method != "draw" or options.speculate:  # the scheduler does it for itself
        for each in sequences:
            tell_prompts(network, [each])
    waiting = [each for each in sequences if not each.finish_reason]
    if options.method != "draw":
        yield from _search(network, waiting, tokenizer.vocab_size, cache=cache)
    elif options.speculate:
        yield from _speculate(network, waiting, tokenizer.vocab_size, draft)
    else:
        scheduler = Scheduler(network, tokenizer.vocab_size, prefixes=PrefixCache(CHUNK, REMEMBERED), cache=cache)
        for each in waiting:
            scheduler.submit(each)
        yield from ((one.number, piece) for one, piece in scheduler.run() if piece)
    made = [each.result(seed) for each in sequences]
    if note := cut_note(options, [each.finish_reason for each in made]):
        say(note)
    return made


def limits_of(network: Writer, tokenizer: Tokenizer, options: SamplingOptions, end_ids: Sequence[int] = ()) -> RequestLimits:
    """What bounds the sequences of a request; end_ids as in `generate`.

    Raises ConfigError or UsageError for a form that cannot be followed, and for log-probabilities of what is only read.
    """
    if options.prompt_logprobs and isinstance(network, EncoderDecoder):
        raise UsageError("prompt_logprobs are of a text that is gone on with; an encoder-decoder only reads its prompt: leave them out")
    ends = tuple(dict.fromkeys((tokenizer.eot_id, *end_ids)))
    return RequestLimits(options, context_of(network), words_of(options, tokenizer, ends), form_of(options, tokenizer, ends))


def continuations(network: Writer, prompt: Prompt, seed: int, tokenizer: Tokenizer, limits: RequestLimits) -> list[Continuation]:
    """The sequences that a request asks for after one prompt, each with a seed of its own.

    Raises UsageError for a prompt that does not fit.
    """
    start = opening(network, tokenizer, prompt)
    limits.check(start.text, start.ids)
    limits = limits.also_ended_by(start.end_ids) if start.end_ids else limits
    count = limits.options.num_return_sequences
    return [Continuation(start, derive_seed(seed, index), index, tokenizer, limits) for index in range(count)]


def _speculate(network: Writer, waiting: Sequence[Continuation], vocab_size: int, draft: Writer | None) -> Iterator[tuple[int, str]]:
    """One sequence after another: guessing ahead is for a single stream, rows of a batch share their reads already."""
    for one in waiting:
        guesser = Lookup(price_of(network)) if draft is None else Draft(draft, vocab_size, one.options.max_tokens)
        yield from ((one.number, piece) for piece in speculate(network, one, guesser, vocab_size, AcceptanceCounts()))


def _search(network: Writer, waiting: Sequence[Continuation], vocab_size: int, *, cache: bool) -> Iterator[tuple[int, str]]:
    """The sequences of each prompt by the search their options name."""
    size = waiting[0].options.num_return_sequences if waiting else 1
    for start in range(0, len(waiting), size):
        several = waiting[start : start + size]
        one = several[0]
        if one.options.method == "contrastive":
            yield from ((one.number, piece) for chosen in contrastive_search(network, one, vocab_size) if (piece := one.take(chosen)))
            continue
        found = beam_search(make_reader(network, one.options.max_tokens, source=one.source, cache=cache), one, vocab_size)
        for each, beam in zip(several, found, strict=True):
            each.score = beam.score
            if piece := "".join([each.take(Chosen(token)) for token in beam.ids]):
                yield each.number, piece
