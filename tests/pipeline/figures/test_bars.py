import pytest

from pipeline.figures import bars as report_bars
from pipeline.figures.bars import MAX_BARS, Bar, Panel, draw_bars


def drawn(panels, monkeypatch, tmp_path, *, one_scale=True):
    """The figure that would be written."""
    kept = []
    monkeypatch.setattr(report_bars, "save", lambda fig, out: kept.append(fig))
    draw_bars("title", "takes", panels, tmp_path / "bars.png", one_scale=one_scale)
    return kept[0]


@pytest.mark.parametrize("one_scale", [True, False])
def test_panels_show_their_bars_and_empty_ones_are_left_out(monkeypatch, tmp_path, one_scale):
    panels = [
        Panel("by a", [Bar("x", 2.0, "two"), Bar("y", 0.0, "none")]),
        Panel("by b", []),
        Panel("by c", [Bar("$", 8.0, "8")]),
    ]
    fig = drawn(panels, monkeypatch, tmp_path, one_scale=one_scale)
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["by a", "by c"]
    assert [bar.get_width() for bar in fig.axes[0].patches] == [2, 0] and fig.axes[-1].get_xlabel() == "takes"
    ends = [ax.get_xlim()[1] for ax in fig.axes]
    assert (ends[0] == ends[1]) == one_scale and ends[0] > 2 and ends[1] > 8


def test_of_many_bars_the_first_are_drawn_and_the_title_says_so(monkeypatch, tmp_path):
    fig = drawn(
        [Panel("by actor", [Bar(str(i), 1.0, "") for i in range(MAX_BARS + 5)])], monkeypatch, tmp_path
    )
    assert len(fig.axes[0].patches) == MAX_BARS and f"first {MAX_BARS} of {MAX_BARS + 5}" in fig.axes[
        0
    ].get_title(loc="left")


def test_bars_of_nothing_are_still_a_picture(tmp_path):
    draw_bars("title", "takes", [Panel("by a", [Bar("x", 0.0, "0")])], tmp_path / "bars.png", one_scale=False)
    assert (tmp_path / "bars.png").read_bytes()[:4] == b"\x89PNG"
