import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from docutils.core import publish_parts

from pipeline.files import write_json
from pipeline.planning.overview import MOST, overview

REPOSITORY = Path(__file__).parents[3]
HOSTILE = "a `b`_ *c* |d| [1]_ <e> :f: `g <javascript:h>`__ \\ .. raw:: html"


def page(text: str) -> str:
    """The text as HTML; an error of its markup fails."""
    return publish_parts(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})[
        "html_body"
    ]


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def study(tmp_path):
    """What the page reads of a study, its root empty."""
    return SimpleNamespace(root=str(tmp_path), takes={f"20260101_{i:03d}": None for i in range(20)})


def test_a_root_that_holds_little_has_a_page(study, tmp_path):
    assert "20 takes, 0 of them to be looked at" in page(overview(study))
    (tmp_path / "annotations" / "quality").mkdir(parents=True)
    (tmp_path / "annotations" / "quality" / "20260101_001.json").write_text("[" * 100_000)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "table.csv").write_bytes(b"\xff\xfe\n")
    (tmp_path / "results" / "accuracy.csv").mkdir()
    assert "20 takes" in page(overview(study))


def test_takes_to_be_looked_at_and_numbers_stand_on_it_whatever_they_say(study, tmp_path):
    for take in list(study.takes)[: MOST + 3]:
        write_json(
            tmp_path / "annotations" / "quality" / f"{take}.json",
            {"verdict": "check", "reasons": [HOSTILE, "b"]},
        )
    write(tmp_path / "results" / "dataset_row.csv", [{"subjects": 4, "words": HOSTILE, "fps": 30}])
    write(
        tmp_path / "results" / "table.csv",
        [{"method": HOSTILE, "FD_g": "1.23456", "FD_k": "-9.7e-17", "Div_g": "", "LVE_cm2": "x"}],
    )
    write(
        tmp_path / "results" / "accuracy.csv",
        [{"take": "mean", "measure": "word_error", "value": "0.0811111"}],
    )
    found = page(overview(study))
    assert f"{MOST + 3} of them to be looked at" in found and "and 3 more" in found
    assert (
        found.count("a `b`_ *c* |d| [1]_ &lt;e&gt; :f: `g &lt;javascript:h&gt;`__ \\ .. raw:: html")
        == MOST + 2
        and "<a " not in found
    )
    assert "<td>1.235</td>" in found and "<td>0.0000</td>" in found and "<td>0.08111</td>" in found


def test_a_report_opens_on_the_page_not_on_the_graph_of_rules():
    profile = yaml.safe_load((REPOSITORY / "workflow" / "profiles" / "default" / "config.yaml").read_text())
    first = yaml.safe_load((REPOSITORY / profile["report-metadata"]).read_text())
    assert set(first) - {"__definitions__"}, "Snakemake opens on the graph where this is empty"
    snakefile = (REPOSITORY / "workflow" / "Snakefile").read_text()
    assert (
        'report: "report/workflow.rst"' in snakefile
        and (REPOSITORY / "workflow" / "report" / "workflow.rst").exists()
    )
