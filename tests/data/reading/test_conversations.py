import pytest

from hanmo.data.reading.conversations import conversation, conversation_columns, rendered, turns_in

TURNS = [("user", "你好"), ("assistant", "您好！")]


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "您好！"}]},
        {"messages": [{"role": "user", "content": "你好"}, {"role": "Assistant", "content": [{"type": "text", "text": "您好！"}]}]},
        {"messages": '[{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好！"}]'},
        {"instruction": "你好", "input": "", "output": "您好！"},
        {"prompt": "你好", "completion": "您好！"},
        {"instruction": "你好", "response": "您好！", "input": None},
    ],
)
def test_every_known_form_gives_the_same_turns(row: dict) -> None:
    assert conversation(row) == TURNS


def test_what_stands_before_the_last_question_comes_before_it() -> None:
    row = {"system": "简短。", "history": [["早", "早上好"], ["odd"]], "instruction": "你好", "input": "在吗", "output": "您好！"}
    assert conversation(row) == [("system", "简短。"), ("user", "早"), ("assistant", "早上好"), ("user", "你好\n\n在吗"), TURNS[1]]


def test_a_call_of_a_tool_stays_and_a_turn_without_text_does_not() -> None:
    call = [{"function": {"name": "clock", "arguments": "{}"}}]
    turns = turns_in(
        [{"role": "user", "content": "几点？"}, {"role": "assistant", "content": None, "tool_calls": call}, {"role": "tool", "content": ""}]
    )
    assert turns == [("user", "几点？"), ("assistant", '[{"function": {"name": "clock", "arguments": "{}"}}]')]


@pytest.mark.parametrize(
    "value", [None, 5, "words", "[broken", [1], [{"role": "user"}], [{"content": "x"}], {"role": "user", "content": "x"}]
)
def test_anything_else_is_no_conversation(value: object) -> None:
    assert turns_in(value) == [] and conversation({"messages": value}) == []


def test_columns_of_a_question_without_an_answer_are_none() -> None:
    assert conversation_columns(["instruction", "input"]) == [] and conversation({"instruction": "x", "output": ""}) == []


def test_each_template_writes_turns_its_own_way() -> None:
    assert rendered(TURNS, "named") == "User: 你好\n\nAssistant: 您好！"
    assert rendered(TURNS, "turns") == "你好\n\n您好！"
    assert rendered(TURNS, "chatml") == "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n您好！<|im_end|>\n"
