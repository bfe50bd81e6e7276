"""Every key of the config has an effect, and each stage is given its own section only.

The overlays in config/ are valid.
"""

import ast
import importlib
import re
import typing
from functools import cache
from pathlib import Path

import pytest
import yaml
from helpers.workflow_project import TINY, make_project, snakemake
from snakemake.utils import update_config

from models import recipes
from pipeline import config, fetch
from pipeline.planning.code import code
from pipeline.planning.runs import plan_runs

REPOSITORY = Path(__file__).resolve().parents[1]
SECTIONS = {
    name: field.annotation
    for name, field in config.Config.model_fields.items()
    if hasattr(field.annotation, "model_fields")
}
STUDY_TOO = {"split"}
"""Sections that the workflow reads as well, for it has to know of a take's split before any job runs."""


@cache
def stages() -> dict[str, set[str]]:
    """Modules of the rules' stages by the section that the rule passes."""
    found: dict[str, set[str]] = {}
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for rule in re.split(r"^ *rule\b.*:$", path.read_text(), flags=re.MULTILINE)[1:]:
            sections = re.findall(r"flags\(study\.config\.(\w+)", rule)
            assert len(sections) <= 1, f"{path.name}: a rule passes {sections}"
            if sections:
                found.setdefault(sections[0], set()).update(re.findall(r"python -m ([\w.]+)", rule))
    return found


@cache
def read_options(path: Path, owner: str) -> frozenset[str]:
    """Names that a file reads from something called `owner`.

    `owner.name`, `x.owner.name` or getattr(owner, "name").
    """

    def is_owner(node: ast.expr) -> bool:
        return (isinstance(node, ast.Name) and node.id == owner) or (
            isinstance(node, ast.Attribute) and node.attr == owner
        )

    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and is_owner(node.value):
            names.add(node.attr)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "getattr"
            and is_owner(node.args[0])
        ):
            names |= {ast.literal_eval(node.args[1])} if isinstance(node.args[1], ast.Constant) else set()
    return frozenset(names)


def planning_reads(owner: str) -> set[str]:
    """Names that the modules of planning read from something called `owner`."""
    modules = (REPOSITORY / "pipeline" / "planning").glob("*.py")
    return set().union(*(read_options(path, owner) for path in modules))


def test_every_section_reaches_a_stage():
    assert set(stages()) == set(SECTIONS)


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_key_of_a_section_is_read_by_its_stage(section):
    modules = set(stages()[section])
    if section == "generate":  # which calls the recipes of its runs
        modules |= {f"models.recipes.{name}" for name in recipes.names()}
    files = {REPOSITORY / name for module in modules for name in code(module) if name.endswith(".py")}
    read = set().union(*(read_options(path, "options") for path in files))
    assert set(SECTIONS[section].model_fields) <= read


@pytest.mark.parametrize("recipe", recipes.names())
def test_every_option_of_a_recipe_is_read_where_it_is_trained_or_sampled(recipe):
    files = code("models.train", "models.generate", f"models.recipes.{recipe}")
    paths = [REPOSITORY / name for name in files if name.endswith(".py")]
    others = {REPOSITORY / "models" / "recipes" / f"{name}.py" for name in recipes.names() if name != recipe}
    # sampling calls the options of a run `training`: its own are those of the sampling
    read = set().union(*(read_options(path, owner) for path in paths for owner in ("options", "training")))
    assert set(recipes.options_of(recipe).model_fields) <= read and others.isdisjoint(paths)


@pytest.mark.parametrize(("section", "owner"), [(config.Run, "run"), (config.Row, "row")])
def test_every_key_of_runs_and_rows_is_read_by_the_workflow(section, owner):
    assert set(section.model_fields) <= planning_reads(owner)


@pytest.mark.parametrize("section", sorted(STUDY_TOO))
def test_the_workflow_reads_what_it_needs_too(section):
    assert set(SECTIONS[section].model_fields) <= planning_reads(section)


def test_the_workflow_reads_every_key_of_the_top():
    read = planning_reads("config")
    # a key that can have one value only, such as fps, decides nothing: it states what is fixed
    free = {
        name
        for name, field in config.Config.model_fields.items()
        if name not in SECTIONS and len(typing.get_args(field.annotation)) != 1
    }
    assert free <= read
    assert set(config.Config.model_fields) - set(SECTIONS) - free == {"fps"}


def taken(module: str) -> set[type]:
    """Sections that functions of a module take as `options`."""
    found: set[type] = set()
    for function in vars(importlib.import_module(module)).values():
        if getattr(function, "__module__", None) == module and "options" in getattr(
            function, "__annotations__", {}
        ):
            kind = typing.get_type_hints(function)["options"]
            found |= set(typing.get_args(kind) or (kind,)) - {type(None)}
    return found


@pytest.mark.parametrize("module", sorted({module for modules in stages().values() for module in modules}))
def test_a_stage_takes_the_sections_that_its_rules_pass(module):
    assert taken(module) <= {SECTIONS[section] for section, modules in stages().items() if module in modules}


def merged(*names: str) -> config.Config:
    """config.yaml with overlays, as `snakemake --configfile` merges them."""
    values = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    for name in names:
        update_config(values, yaml.safe_load((REPOSITORY / "config" / name).read_text()))
    return config.parse(values)


@pytest.mark.parametrize("name", sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml")))
def test_overlays_are_valid_and_change_something(name):
    assert merged(name) != merged()


def test_overlays_do_what_their_names_say():
    assert merged("release.yaml").dataset and not merged("release.yaml").shoot
    assert merged("shoot.yaml").shoot and not merged("shoot.yaml").dataset
    small, default = merged("small.yaml"), merged()
    assert small.simulate.num_takes > default.simulate.num_takes
    small_runs, default_runs = plan_runs(small), plan_runs(default)
    own = {"face", "body_lower", "body_upper", "finetune_face", "swap_face"}
    assert small_runs.keys() == default_runs.keys() == own
    for name in config.ROWS["trained models"]:
        assert small_runs[name].options.steps > default_runs[name].options.steps
    paper = merged("release.yaml", "paper.yaml")
    runs = plan_runs(paper)
    assert paper.dataset and {runs[name].options.window_frames for name in config.ROWS["trained models"]} == {
        150
    }
    face = runs["face"].options
    for body in (runs["body_lower"].options, runs["body_upper"].options):
        assert (body.channels, body.blocks, body.heads, body.batch_size, body.learning_rate) == (
            256,
            20,
            8,
            32,
            3e-4,
        )
    assert (face.dim, face.feedforward, face.period, 2 * face.batch_size, face.learning_rate) == (
        512,
        1024,
        30,
        2,
        1e-6,
    )


def test_the_baselines_are_rows_of_bodies_of_their_own():
    runs = plan_runs(merged("baselines.yaml"))
    rows = merged("baselines.yaml").rows
    assert [row.runs for name, row in rows.items() if name not in config.ROWS] == [("lda",), ("one_network",)]
    for name, people in (("lda", "one"), ("one_network", "two")):
        options = runs[name].options
        assert (options.joints, options.people) == ("all", people) and runs[name].target == f"train_{name}"
        assert options.makes == ("body", "relative") and not options.needs
    paper = plan_runs(merged("release.yaml", "paper.yaml", "baselines.yaml"))["lda"].options
    assert (paper.channels, paper.blocks, paper.schedule, paper.skip) == (256, 20, "linear", "none")


def test_the_papers_configuration_hears_and_reads_what_fetching_brings():
    paper = merged("release.yaml", "paper.yaml")
    folders = {kind: fetch.SOURCES[kind].out for kind in ("wav2vec2", "bert")}
    assert paper.speech.model == folders["wav2vec2"] and paper.text.model == folders["bert"]
    comment = (REPOSITORY / "config" / "paper.yaml").read_text()
    assert all(f"python -m pipeline.fetch {kind}" in comment for kind in folders)


def test_the_papers_configuration_and_the_docs_say_one_prediction():
    runs = plan_runs(merged("release.yaml", "paper.yaml"))
    page = " ".join((REPOSITORY / "docs" / "models.md").read_text().split())
    said = re.findall(r"\(`prediction: (\w+)`\), by default and in `config/paper.yaml`", page)
    predictions = {runs[name].options.prediction for name in ("body_lower", "body_upper")}
    assert said == ["clean"] and predictions == {"clean"}
    assert plan_runs(merged())["body_lower"].options.prediction == "clean"


PAPER = {
    "skip": "none",
    "untold": "mean",
    "condition_dropout": 0,
    "min_std": 1e-4,
    "min_scale": 0,
    "average": 0,
    "validation_share": 0,
}
PAPER_BODY = PAPER | {
    "relation": False,
    "schedule": "linear",
    "velocity_weight": 0,
    "text_channels": 0,
    "text_dropout": 0,
    "swap": False,
    "mirror": False,
}
PAPER_FACE = PAPER | {"schedule": "scaled_linear", "velocity_weight": 1}


def test_the_papers_configuration_has_none_of_our_departures():
    """Each departure is an option, which it turns off, and a row of the docs' table of them."""
    runs = plan_runs(merged("release.yaml", "paper.yaml"))
    page = (REPOSITORY / "docs" / "models.md").read_text()
    table = page[page.index("### What keeps it from remembering") : page.index("## Generate")]
    for name in config.ROWS["trained models"]:
        options = runs[name].options.model_dump()
        for key, value in (PAPER_FACE if name == "face" else PAPER_BODY).items():
            assert options[key] == value, (name, key)
            assert re.search(rf"^\|[^|]*`{key}`", table, re.MULTILINE), key


def test_the_papers_configuration_is_planned(tmp_path):
    """Its models need not be there to plan."""
    project = make_project(tmp_path)
    overlay = str(REPOSITORY / "config" / "paper.yaml")
    result = snakemake(project, "all", "-n", "-p", "--configfile", overlay)
    told = result.stdout + result.stderr
    assert result.returncode == 0, told
    assert re.search(r"python -m pipeline\.shards\.text .*--model pretrained/bert-base-uncased", told)
    # the encoder learns along: nothing hears it beforehand
    assert "pipeline.shards.speech" not in told
    words = r"python -m models\.train face .*/face --speech-model pretrained/wav2vec2-base-960h"
    assert re.search(words + r" --speech-layer last .*--encoder trained", told)
    assert re.search(r"python -m models\.train body .*--prediction clean", told)


def test_the_baselines_of_the_docs_are_planned(tmp_path):
    """On vertices they are trained and sampled on the dataset's rigs, on weights on none."""
    page = (REPOSITORY / "docs" / "models.md").read_text()
    (snippet,) = re.findall(r"```yaml\n(runs:\n  faceformer:.*?)```", page, re.DOTALL)
    project = make_project(tmp_path, TINY + snippet)
    told = snakemake(project, "-n", "-p", "generate_FaceFormer", "generate_FaceFormer_on_vertices")
    commands = re.findall(r"python -m models\.(\w+) .*", told.stdout + told.stderr)
    assert told.returncode == 0 and sorted(commands) == ["generate", "generate", "train", "train"]
    for line in re.findall(r"python -m models\..*", told.stdout + told.stderr):
        assert (" --rigs data/dataset/rigs " in line) == ("faceformer_vertices" in line), line
    want = r"    input: [^\n]*data/dataset/rigs/\d+\.npz[^\n]*\n    output: data/runs/faceformer_vertices/"
    assert re.search(want, told.stdout + told.stderr)


def test_rows_of_faces_need_no_bodies():
    overlaid = merged("small.yaml", "faces.yaml")
    runs = plan_runs(overlaid)
    needed = {name for row in overlaid.rows.values() for name in row.runs}
    assert needed == {"face", "finetune_face", "swap_face", "faceformer"}
    assert all(runs[name].options.makes == ("face",) for name in needed)
    assert runs["face"].options == plan_runs(merged("small.yaml"))["face"].options
