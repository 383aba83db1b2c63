"""Conversations in the rows of a table become text, by a plain template that has a name.

In: a row without a column of text. Out: its turns, and one text of them. The idea: what data for chat looks like is known: a list of turns
(sharegpt's `conversations` with `from` and `value`, the `messages` of OpenAI with `role` and `content`), or a question and its answer
in two columns (alpaca's `instruction`, `input`, `output`; `prompt` and `completion`). Anything else is no
conversation. These texts are to learn language from: for an assistant, `hanmo finetune` keeps turns apart and learns the answers only.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast

Template = Literal["named", "turns", "chatml", "none"]
Turn = tuple[str, str]  # speaker, text
LISTS = ("conversations", "conversation", "messages", "dialogue", "dialog", "turns")
ASKED = ("instruction", "prompt")
ANSWERED = ("output", "response", "completion")
SPEAKER_KEYS = ("role", "from", "speaker")
TEXT_KEYS = ("content", "value", "text")
USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
SPEAKERS = {"human": USER, "prompter": USER, "gpt": ASSISTANT, "chatgpt": ASSISTANT, "bot": ASSISTANT, "model": ASSISTANT}


def conversation_columns(columns: Collection[str]) -> list[str]:
    """Of the names of columns, those that may hold a conversation; none where there is no such thing.

    >>> conversation_columns(["id", "messages"]), conversation_columns(["instruction", "input", "output"]), conversation_columns(["input"])
    (['messages', 'system'], ['instruction', 'input', 'output', 'history', 'system'], [])
    """
    if found := next((name for name in LISTS if name in columns), ""):
        return [found, "system"]
    asked = next((name for name in ASKED if name in columns), "")
    answered = next((name for name in ANSWERED if name in columns), "")
    return [asked, "input", answered, "history", "system"] if asked and answered else []


def conversation(row: Mapping[str, object]) -> list[Turn]:
    """The turns in a row; none where it holds no conversation."""
    names = conversation_columns(row)
    if not names:
        return []
    turns = turns_in(row[names[0]]) if names[0] in LISTS else _question_and_answer(row, names)
    system = _text(row.get("system"))
    return [(SYSTEM, system), *turns] if system and turns and turns[0][0] != SYSTEM else turns


def turns_in(value: object) -> list[Turn]:
    """The turns in a list of them, or in such a list as JSON; none where a part of it is no turn."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = cast("object", json.loads(value))
        except (ValueError, RecursionError):
            return []
    if not isinstance(value, list):
        return []
    turns = [_turn(each) for each in cast("list[object]", value)]
    return [turn for turn in turns if turn and turn[1]] if all(turns) else []


def rendered(turns: Sequence[Turn], template: Template) -> str:
    """Turns as one text.

    >>> print(rendered([("user", "你好"), ("assistant", "您好！")], "named"))
    User: 你好
    <BLANKLINE>
    Assistant: 您好！
    >>> rendered([("user", "a"), ("assistant", "b")], "turns"), rendered([("user", "a")], "chatml")
    ('a\\n\\nb', '<|im_start|>user\\na<|im_end|>\\n')
    """
    if template == "chatml":
        return "".join(f"<|im_start|>{speaker}\n{text}<|im_end|>\n" for speaker, text in turns)
    named = template == "named"
    return "\n\n".join(f"{speaker[:1].upper()}{speaker[1:]}: {text}" if named else text for speaker, text in turns)


def _question_and_answer(row: Mapping[str, object], names: Sequence[str]) -> list[Turn]:
    asked, given, answered, history, _ = names
    question, answer = _text(row[asked]), _text(row[answered])
    if not question or not answer:
        return []
    more = _text(row.get(given))
    turns = _pairs(row.get(history))
    return [*turns, (USER, f"{question}\n\n{more}" if more else question), (ASSISTANT, answer)]


def _pairs(value: object) -> list[Turn]:
    """The turns before the last question, as pairs of a question and an answer."""
    turns: list[Turn] = []
    for pair in cast("list[object]", value) if isinstance(value, list) else ():
        texts = [_text(each) for each in cast("list[object]", pair)] if isinstance(pair, list | tuple) else []
        if len(texts) == 2:
            turns += [(USER, texts[0]), (ASSISTANT, texts[1])]
    return turns


def _turn(value: object) -> Turn | None:
    """Speaker and text of a turn, which is empty where it has none; None where it is no turn."""
    if not isinstance(value, dict):
        return None
    turn = cast("dict[str, object]", value)
    speaker = next((turn[key] for key in SPEAKER_KEYS if isinstance(turn.get(key), str)), None)
    key = next((key for key in TEXT_KEYS if key in turn), "")
    if not isinstance(speaker, str) or not (key or turn.get("tool_calls")):
        return None
    text = _text(turn.get(key))
    if not text and turn.get("tool_calls"):
        text = json.dumps(turn["tool_calls"], ensure_ascii=False)
    name = speaker.strip().lower()
    return SPEAKERS.get(name, name), text


def _text(value: object) -> str:
    """A text, or the parts of one that are text; empty for anything else."""
    if isinstance(value, list):
        parts = [cast("dict[str, object]", part) for part in cast("list[object]", value) if isinstance(part, dict)]
        return "\n".join(part for part in (_text(part.get("text")) for part in parts) if part)
    return value.strip() if isinstance(value, str) else ""
