"""How other tools say in generation_config.json that a setting is off, or that the likeliest token is taken every time.

In: the values of the file. Out: the same in the words that are read here: what is off is left out, greedy is `do_sample: false`.
A number that means neither is left as it is, to be refused where it is read.
"""

from collections.abc import Callable, Mapping

Number = int | float

OFF: Mapping[str, Callable[[Number], bool]] = {
    "top_k": lambda value: value <= 0,
    "top_p": lambda value: value >= 1 or value == -1,
    "min_p": lambda value: value <= 0,
    "typical_p": lambda value: value >= 1 or value in (0, -1),
    "epsilon_cutoff": lambda value: value <= 0,
    "eta_cutoff": lambda value: value <= 0,
    "repetition_penalty": lambda value: value in (0, -1),
    "no_repeat_ngram_size": lambda value: value <= 0,
    "min_length": lambda value: value <= 0,
    "min_new_tokens": lambda value: value <= 0,
    "max_new_tokens": lambda value: value < 0,
    "prompt_lookup_num_tokens": lambda value: value <= 0,
    "num_beams": lambda value: value <= 1,
    "penalty_alpha": lambda value: value <= 0,
    "temperature": lambda value: value <= 0,
}
"""Numbers with which llama.cpp, vLLM, transformers and others turn a setting off; the temperature has nothing to divide by then."""
GREEDY: Mapping[str, Callable[[Number], bool]] = {"temperature": lambda value: value <= 0, "top_p": lambda value: value == 0}
"""Numbers that leave nothing but the likeliest token."""
WHOLE = ("top_k", "no_repeat_ngram_size", "min_length", "min_new_tokens", "max_new_tokens", "num_beams")


def plain_settings(values: Mapping[str, object]) -> dict[str, object]:
    """The settings without those that are off.

    >>> plain_settings({"temperature": 0, "top_k": -1, "top_p": 1.0, "min_p": 0.1})
    {'min_p': 0.1, 'do_sample': False}
    >>> plain_settings({"top_k": 20.0, "repetition_penalty": None, "do_sample": True})
    {'top_k': 20, 'do_sample': True}
    """
    found = {key: value for key, value in values.items() if value is not None and not _is_off(key, value)}
    for key in WHOLE:
        value = found.get(key)
        if isinstance(value, float) and value.is_integer():
            found[key] = int(value)
    if values.get("do_sample") == 0 or any(_holds(rule, values.get(key)) for key, rule in GREEDY.items()):
        found["do_sample"] = False
    if found.get("top_p") == 0:
        del found["top_p"]
    if "penalty_alpha" in found and found.get("top_k", 50) == 1:  # nothing to choose among
        del found["penalty_alpha"]
    return found


def _is_off(key: str, value: object) -> bool:
    return key in OFF and (value is False or _holds(OFF[key], value))


def _holds(rule: Callable[[Number], bool], value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and rule(value)
