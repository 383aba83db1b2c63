import matplotlib as mpl
import pytest

from hanmo.evaluate.curves import chinese_font, draw_curves
from hanmo.evaluate.phrases import report_phrases

ROWS = [
    {"step": 1, "loss": 3.0, "learning_rate": 1e-3, "tokens_per_second": 10.0, "gradient_norm": 1.0},
    {"step": 2, "loss": 2.0, "learning_rate": 5e-4, "tokens_per_second": None, "gradient_norm": 0.5, "validation_loss": 2.2},
]


def test_curves_are_a_picture_that_leaves_no_setting_behind() -> None:
    before = dict(mpl.rcParams)
    light, dark = (draw_curves(ROWS, report_phrases("en"), dark=dark) for dark in (False, True))
    assert light.startswith(b"\x89PNG") and dark.startswith(b"\x89PNG") and light != dark
    assert dict(mpl.rcParams) == before


def test_same_rows_give_the_same_bytes() -> None:
    assert draw_curves(ROWS, report_phrases("en")) == draw_curves(ROWS, report_phrases("en"))


@pytest.mark.parametrize("rows", [[], [{"step": 1}], [{"step": 1, "loss": float("inf")}]])
def test_nothing_to_draw_is_an_empty_picture(rows: list[dict[str, float]]) -> None:
    assert draw_curves(rows, report_phrases("en")).startswith(b"\x89PNG")


def test_chinese_words_are_drawn_where_a_font_has_them() -> None:
    font = chinese_font()
    words = report_phrases("zh") if font else report_phrases("en")
    assert draw_curves(ROWS, words, font=font).startswith(b"\x89PNG")
