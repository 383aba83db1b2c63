"""The learning curves of a run as one picture.

In: the rows of metrics.jsonl. Out: PNG bytes, light or dark. Nothing global is touched: no pyplot, no changed defaults.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]

LIGHT = {"ink": "#22201c", "pale": "#6f6a61", "line": "#ddd8cd", "paper": "#fcfbf8", "first": "#4a6d8c", "second": "#a63427"}
DARK = {"ink": "#e6e2d9", "pale": "#a09a8e", "line": "#3a3731", "paper": "#1a1917", "first": "#8fb4d4", "second": "#e0796a"}
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Zen Hei",
)


def chinese_font() -> str | None:
    """An installed font that has Chinese characters, or None."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in CHINESE_FONTS if name in installed), None)


def draw_curves(rows: Rows, words: Callable[[str], str], *, dark: bool = False, font: str | None = None) -> bytes:
    """Loss, learning rate, speed and gradient norm over steps, as PNG; `words` names them in the report's language."""
    colours = DARK if dark else LIGHT
    figure = Figure(figsize=(9.6, 5.6), dpi=110, facecolor=colours["paper"])
    figure.set_layout_engine("constrained", hspace=0.09, wspace=0.06)
    canvas = FigureCanvasAgg(figure)
    family = ([font] if font else []) + ["DejaVu Sans"]
    with rc_context({"font.family": family, "axes.unicode_minus": False}):
        loss, rate, speed, norm = figure.subplots(2, 2).flat
        _plot_loss(loss, rows, words, colours)
        peak = max((row["learning_rate"] for row in rows if row.get("learning_rate")), default=1.0)
        _plot(rate, rows, "learning_rate", words, colours, scale=1 / peak)
        _plot(speed, rows, "tokens_per_second", words, colours)
        _plot(norm, rows, "gradient_norm", words, colours)
        for axes in (speed, norm):
            axes.set_xlabel(words("step"), color=colours["pale"])
        stream = io.BytesIO()
        canvas.print_png(stream, metadata={"Software": ""})
    return stream.getvalue()


def _plot_loss(axes: Axes, rows: Rows, words: Callable[[str], str], colours: Mapping[str, str]) -> None:
    _dress(axes, words("loss"), colours)
    for key, name, style in (("loss", "training", "first"), ("validation_loss", "validation", "second")):
        steps, values = _points(rows, key)
        if not values:
            continue
        marker = "o" if style == "second" else ""
        axes.plot(steps, values, color=colours[style], linewidth=1.4, marker=marker, markersize=3.5)
        height = 0.93 if style == "first" else 0.84
        axes.text(0.98, height, f"{words(name)} {values[-1]:.3f}", transform=axes.transAxes, ha="right", color=colours[style], fontsize=9)


def _plot(axes: Axes, rows: Rows, key: str, words: Callable[[str], str], colours: Mapping[str, str], *, scale: float = 1.0) -> None:
    _dress(axes, words(key), colours)
    steps, values = _points(rows, key)
    if values:
        axes.plot(steps, [value * scale for value in values], color=colours["first"], linewidth=1.2)
        axes.set_ylim(bottom=0)


def _points(rows: Rows, key: str) -> tuple[list[int], list[float]]:
    """Steps and values of the rows that have the key; a number that is none is left out."""
    pairs = [(int(row["step"]), float(row[key])) for row in rows if row.get(key) is not None and math.isfinite(row[key])]
    return [step for step, _ in pairs], [value for _, value in pairs]


def _dress(axes: Axes, title: str, colours: Mapping[str, str]) -> None:
    axes.set_facecolor(colours["paper"])
    axes.set_title(title, loc="left", fontsize=10.5, color=colours["ink"])
    axes.tick_params(colors=colours["pale"], labelsize=8.5, length=0)
    axes.grid(axis="y", color=colours["line"], linewidth=0.7)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colours["line"])
