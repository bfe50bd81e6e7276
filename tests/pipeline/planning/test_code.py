"""A rule's code is what can change its output: no less, and no more."""

import re
import subprocess
import sys

import pytest

from pipeline import source
from pipeline.planning import code as planning_code
from pipeline.planning.code import REPOSITORY, all_code, code, content

STAGES = sorted(
    {
        module
        for path in (REPOSITORY / "rules").glob("*.smk")
        for module in re.findall(r'code\("([\w.]+)"\)', path.read_text())
    }
)


def test_the_root_of_the_repository_is_where_the_packages_are():
    assert (REPOSITORY / "pipeline" / "planning" / "code.py").exists() and (REPOSITORY / "rules").is_dir()
    assert len(STAGES) > 30 and all(content(path) for name in STAGES for path in code(name))


def test_an_edit_of_a_table_concerns_only_rules_that_use_it():
    def users(table: str) -> set[str]:
        return {name for name in STAGES if table in code(name)}

    assert users("pipeline/formats/meta_groups.tsv") == {
        f"pipeline.statistics.{name}"
        for name in ("body_entropy", "contact_table", "dataset_row", "face_variance", "scenario_counts")
    }
    assert users("pipeline/simulate/passages.txt") == {f"pipeline.simulate.{n}" for n in ("cast", "lips")}
    assert users("pipeline/simulate/dialogue.txt") == {"pipeline.simulate.take", "pipeline.simulate.lips"}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A repository of two rooms."""
    for name, text in {
        "stage.py": "",
        "low/__init__.py": "",
        "low/one.py": "import numpy",
        "low/one.tsv": "",
        "low/two.py": "def f():\n    from pipeline.low import one",
        "low/two.txt": "",
        "low/other.py": "",
        "low/other.json": "",
        "low/nobodys.tsv": "",
        "high/__init__.py": "",
        "high/__main__.py": "from pipeline import stage\nfrom pipeline.high.three import run",
        "high/three.py": "from pipeline.low.two import f",
        "high/four.py": "import pipeline.low.other",
    }.items():
        path = tmp_path / "pipeline" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    cached = (source.closure, source._imports, content, all_code)
    monkeypatch.setattr(source, "REPOSITORY", tmp_path)
    monkeypatch.setattr(planning_code, "REPOSITORY", tmp_path)
    for function in cached:
        function.cache_clear()
    yield tmp_path
    for function in cached:
        function.cache_clear()


@pytest.mark.parametrize(
    ("module", "files"),
    [
        ("low.one", ["low/one.py", "low/one.tsv"]),
        ("low.two", ["low/one.py", "low/one.tsv", "low/two.py", "low/two.txt"]),
        ("high.four", ["high/four.py", "low/other.json", "low/other.py"]),
    ],
)
def test_modules_come_with_what_they_import_and_with_tables_of_their_names(small, module, files):
    assert code(f"pipeline.{module}") == [f"pipeline/{name}" for name in files]


def test_the_code_of_a_package_is_what_python_m_runs(small):
    assert code("pipeline.high") == ["pipeline/high/__main__.py", *code("pipeline.high.three")]


def test_what_cannot_change_a_result_is_in_no_digest(small):
    before = all_code()
    (small / "pipeline/stage.py").write_text("changed = True")
    (small / "pipeline/planning").mkdir()
    (small / "pipeline/planning/study.py").write_text("")
    content.cache_clear()
    all_code.cache_clear()
    assert all_code() == before and code("pipeline.planning.study") == []
    (small / "pipeline/low/nobodys.tsv").write_text("a\n")
    content.cache_clear()
    all_code.cache_clear()
    assert all_code() != before


@pytest.mark.parametrize(
    ("modules", "others"),
    [
        (
            "models.train models.recipes.face",
            {
                "models/recipes/body.py",
                "pipeline/shards/features.py",
                "pipeline/shards/build.py",
                "pipeline/formats/takes.py",
                "models/generate.py",
            },
        ),
        (
            "pipeline.shards.index",
            {"pipeline/shards/features.py", "pipeline/shards/build.py", "pipeline/shards/validate.py"},
        ),
        ("pipeline.shards.plan", {"pipeline/shards/build.py"}),
        (
            "pipeline.shards.build",
            {f"pipeline/shards/{name}.py" for name in ("index", "stats", "validate", "export")},
        ),
        ("pipeline.shards.features", {"pipeline/shards/build.py", "pipeline/formats/shard_file.py"}),
    ],
)
def test_a_stage_is_not_rerun_for_code_that_it_does_not_use(modules, others):
    found = code(*modules.split())
    assert found and not others & set(found) and all((REPOSITORY / other).exists() for other in others)


def test_planning_the_default_config_needs_no_torch():
    """Options of recipes are read out of files that import it."""
    program = (
        "import sys; from pipeline.planning.study import Study; study = Study({'root': 'nowhere'});"
        " print(list(study.runs), [row.folder for row in study.rows]);"
        " print([name for name in ('torch', 'models.recipe') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    runs = ["face", "body_lower", "body_upper", "finetune_face", "swap_face"]
    rows = ["trained_models", "fine_tuned_on_lips", "fine_tuned_swapped"]
    assert told.stdout == f"{runs} {rows}\n[]\n"


def test_what_the_snakefile_imports_is_light():
    names = re.findall(
        r"^ *from (pipeline[\w.]*) import", (REPOSITORY / "workflow" / "Snakefile").read_text(), re.MULTILINE
    )
    heavy = ("numpy", "scipy", "pandas", "pyarrow", "h5py", "soundfile", "matplotlib", "torch")
    program = f"import sys, {', '.join(names)}; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "pipeline.planning.study" in names and told.stdout == "[]\n"
