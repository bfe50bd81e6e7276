"""Bars of groups, side by side: what statistics of a dataset are drawn as."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from pipeline.figures.figure import pyplot, save

MAX_BARS = 30
"""Bars in a panel; of more, the first are drawn and the title says so."""


@dataclass(frozen=True)
class Bar:
    """A group, its value, and what stands beside its bar."""

    name: str
    value: float
    note: str


@dataclass(frozen=True)
class Panel:
    """Groups of one grouping."""

    title: str
    bars: list[Bar]


def draw_bars(title: str, unit: str, panels: list[Panel], out: Path, *, one_scale: bool) -> None:
    """A panel of horizontal bars per grouping, on one scale or each on its own.

    Panels without bars are left out.
    """
    panels = [panel for panel in panels if panel.bars]
    shown = [panel.bars[:MAX_BARS] for panel in panels]
    tops = [max(bar.value for bar in bars) or 1.0 for bars in shown]
    heights = [len(bars) for bars in shown]
    fig = pyplot().figure(figsize=(9, 0.24 * sum(heights) + 0.6 * len(panels) + 0.6), layout="constrained")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    axes = fig.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for ax, panel, bars, own_top in zip(axes, panels, shown, tops, strict=True):
        top = max(tops) if one_scale else own_top
        ax.barh(range(len(bars)), [bar.value for bar in bars], height=0.7, color="#0f766e")
        ax.set_yticks(
            range(len(bars)), [textwrap.shorten(bar.name, 40, placeholder=" …") for bar in bars], fontsize=8
        )
        ax.set_ylim(len(bars) - 0.4, -0.6)
        for i, bar in enumerate(bars):
            ax.text(bar.value + 0.01 * top, i, bar.note, va="center", fontsize=8)
        rest = (
            f" (the first {MAX_BARS} of {len(panel.bars)}; the table has all)"
            if len(panel.bars) > MAX_BARS
            else ""
        )
        ax.set_title(panel.title + rest, loc="left", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlim(0, 1.5 * top)  # room for the notes
        ax.tick_params(axis="x", labelsize=8)
    axes[-1].set_xlabel(unit, fontsize=9)
    save(fig, out)
