import re
from pathlib import Path

from pipeline.figures.figure import pyplot, save

REPOSITORY = Path(__file__).resolve().parents[3]


def test_dollar_signs_are_text_wherever_text_stands(tmp_path):
    fig, ax = pyplot().subplots()
    ax.plot([1, 2], [3, 4], label="$a_")
    texts = [
        ax.set_title("$x^{"),
        ax.text(1, 3, r"it costs 5$ or \frac$"),
        ax.set_xlabel("$\\nope$"),
        fig.suptitle("20260101_$a$"),
    ]
    ax.set_yticks([3, 4], ["$1", "2$"])
    texts += [*ax.get_yticklabels(), *ax.legend().get_texts()]
    assert not any(text.get_parse_math() for text in texts)
    save(fig, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 0


def test_every_picture_is_made_by_the_one_helper():
    """But for what TensorBoard is handed, which is no file of ours."""
    files = [
        path
        for folder in ("pipeline", "models", "benchmarks")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path
        not in (REPOSITORY / "pipeline" / "figures" / "figure.py", REPOSITORY / "models" / "preview.py")
    ]
    makers = re.compile(
        r'matplotlib\.pyplot|matplotlib\.figure|from matplotlib import pyplot|r"\\\$"|\.savefig\(|parse_math'
    )
    found = {
        f"{path.relative_to(REPOSITORY)}: {hit[0]}"
        for path in files
        for hit in makers.finditer(path.read_text(encoding="utf-8"))
    }
    assert not found, "draw with pipeline.figures.figure.pyplot and save"
