from hanmo.model.card import MARK, write_card


def test_facts_stand_in_a_table_and_the_mark_tells_our_card_from_a_users() -> None:
    card = write_card("small", {"vocabulary": 8192, "layout": "llama"}, read_elsewhere=True)
    assert "| vocabulary | 8,192 |" in card
    assert MARK in card
    assert card.startswith("---\nlibrary_name: transformers\n")


def test_a_layout_of_our_own_is_not_offered_to_transformers() -> None:
    assert "AutoModelForCausalLM" not in write_card("small", {}, read_elsewhere=False)
