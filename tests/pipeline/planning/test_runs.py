"""Runs and rows of a config: what is built in, what adds to it, and each mistake as one line."""

import re

import pytest
import yaml
from helpers.workflow_project import make_project, snakemake

from models import evaluate
from pipeline import config
from pipeline.errors import InputError
from pipeline.planning.runs import ALWAYS, plan_rows, plan_runs, with_needs, without_lips

BUILT_IN = ["face", "body_lower", "body_upper"]


def planned(text: str):
    """Runs and rows of a config in YAML."""
    return planned_of(without_lips(config.parse(yaml.safe_load(text) or {})))


def planned_of(parsed: config.Config):
    """Runs and rows of a config, with those of a lip-accurate set."""
    runs = plan_runs(parsed)
    return runs, plan_rows(parsed, runs)


def test_the_empty_config_has_what_is_built_in():
    runs, (row,) = planned("")
    assert list(runs) == BUILT_IN and [run.recipe for run in runs.values()] == ["face", "body", "body"]
    assert [runs[name].options.joints for name in BUILT_IN[1:]] == ["lower", "upper"]
    assert (row.name, row.folder, row.makes) == ("trained models", "trained_models", ("face", "body"))
    assert [run.name for run in row.runs] == BUILT_IN and row.num_samples == config.Generate().num_samples
    assert runs["face"].hears and not runs["body_lower"].hears


def test_a_runs_own_options_go_before_those_of_its_recipe():
    runs, _ = planned(
        "recipes: {body: {steps: 7, channels: 16}}\nruns: {body_upper: {steps: 9}, face: {mem_mb: 5}}"
    )
    assert (runs["body_lower"].options.steps, runs["body_upper"].options.steps) == (7, 9)
    assert runs["body_upper"].options.channels == 16 and runs["body_upper"].options.joints == "upper"
    assert runs["face"].mem_mb == 5 and runs["face"].options == planned("")[0]["face"].options


def test_options_of_a_recipe_and_of_a_run_are_judged_together():
    heads = "{heads: 3}"
    runs, _ = planned(
        f"recipes: {{body: {{channels: 30}}}}\nruns: {{body_lower: {heads}, body_upper: {heads}}}"
    )
    assert (runs["body_upper"].options.channels, runs["body_upper"].options.heads) == (30, 3)


def test_runs_and_rows_are_added_and_taken_away():
    runs, rows = planned("""
runs:
  body_lower: null
  body_upper: null
  whole: {recipe: body, joints: all}
  later: {recipe: face, start: face, given: [whole]}
rows:
  trained models: null
  one network: [whole, face]
  "a later face": {runs: [later], num_samples: 7}
""")
    assert list(runs) == ["face", "whole", "later"]
    assert [(row.folder, row.makes, row.num_samples) for row in rows] == [
        ("one_network", ("face", "body"), 5),
        ("a_later_face", ("face",), 7),
    ]
    assert runs["later"].waits_for == ("whole", "face") and runs["later"].target == "train_later"
    assert with_needs(["later"], runs) == ["face", "whole", "later"] and with_needs(["face"], runs) == [
        "face"
    ]


MISTAKES = {
    "unknown recipe": (
        "runs: {mine: {recipe: hands}}",
        "config key runs.mine.recipe: no recipe 'hands'; the recipes are ",
    ),
    "no recipe": ("runs: {mine: {steps: 5}}", "config key runs.mine.recipe: "),
    "unknown option": (
        "runs: {face: {stesp: 5}}",
        "config key runs.face.stesp: unknown; did you mean steps?",
    ),
    "option of another recipe": ("runs: {face: {channels: 5}}", "config key runs.face.channels: unknown; "),
    "unknown option of a recipe": (
        "recipes: {body: {chanels: 8}}",
        "config key recipes.body.chanels: unknown; did you mean channels?",
    ),
    "options of no recipe": (
        "recipes: {hands: {}}",
        "config key recipes.hands: no such recipe; the recipes are ",
    ),
    "wrong value": ("runs: {face: {steps: 0}}", "config key runs.face.steps: got 0: "),
    "wrong value of a recipe": (
        "recipes: {face: {steps: many}}",
        "config key recipes.face.steps: got 'many': ",
    ),
    "values that do not fit": (
        "runs: {face: {dim: 100, heads: 3}}",
        "config key runs.face.heads: got 3: dim is 100, need a multiple of twice heads (6)",
    ),
    "a width that does not fit the heads that nobody names": (
        "runs: {face: {dim: 30}}",
        "config key runs.face.heads: got 4: dim is 30, need a multiple of twice heads (8)",
    ),
    "channels that do not fit": (
        "recipes: {body: {channels: 30}}",
        "config key recipes.body.heads: got 4: channels is 30, need a multiple of heads (4)",
    ),
    "wrong memory": ("runs: {face: {mem_mb: 0}}", "config key runs.face.mem_mb: got 0: "),
    "a run that is none": ("runs: {face: 5}", "config key runs.face: got 5: "),
    "options that have no names": ("recipes: {face: {5: 6}}", "config key recipes.face.5"),
    "name taken": ("runs: {body: {recipe: body}}", "runs: the name 'body' needs letters, digits and _, "),
    "name of a rule": ("runs: {run: {recipe: body}}", "body, run, separation, swap_run are taken"),
    "name of another rule": (
        "runs: {separation: {recipe: body}}",
        "body, run, separation, swap_run are taken",
    ),
    "name that is none": (
        "runs: {my-face: {recipe: face}}",
        "the name 'my-face' needs letters, digits and _",
    ),
    "name that leads out": ("runs: {../face: {recipe: face}}", "the name '../face' needs letters"),
    "circle": (
        "runs: {a: {recipe: face, start: b}, b: {recipe: face, given: [a]}}",
        "runs: a -> b -> a is a circle of given and start; train one of them without",
    ),
    "given to itself": (
        "runs: {a: {recipe: face, given: [a]}}",
        "runs.a: 'a' is no other run; the runs are ",
    ),
    "given that is no run": ("runs: {a: {recipe: face, given: [b]}}", "runs.a: 'b' is no other run"),
    "start that is no run": ("runs: {a: {recipe: face, start: b}}", "runs.a: 'b' is no other run"),
    "missing run": ("rows: {mine: [face, hands]}", "rows.mine: no run 'hands'; the runs are face, "),
    "run taken away": ("runs: {face: null}", "rows.trained models: no run 'face'; the runs are body_lower, "),
    "row without runs": ("rows: {mine: []}", "config key rows.mine.runs: "),
    "row that makes nothing": (
        "rows: {mine: [body_lower]}",
        "config key rows.mine: its runs make lower, need face or body; name another run as well",
    ),
    "upper without lower": (
        "rows: {mine: [face, body_upper]}",
        "config key rows.mine: run body_upper needs a run before it that makes lower; name one",
    ),
    "upper before lower": ("rows: {mine: [body_upper, body_lower]}", "run body_upper needs a run before it"),
    "made twice": (
        "rows: {mine: [face, face]}",
        "config key rows.mine: run face stands twice; name it once",
    ),
    "a face of two runs": (
        "runs: {second: {recipe: face}}\nrows: {mine: [face, second]}",
        "config key rows.mine: face is made by face and by second; leave one of them out",
    ),
    "one folder": (
        "rows: {trained-models: [face]}",
        (
            "config key rows.trained-models: its folder trained_models is that of row 'trained models' too;"
            " rename"
        ),
    ),
    "no folder": ("rows: {'---': [face]}", "config key rows.---: need a name with letters or digits"),
    "a flag for a name": (
        "rows: {--rigs: [face]}",
        "config key rows.--rigs: a name does not begin with a hyphen",
    ),
    "unknown key of a row": (
        "rows: {mine: {runs: [face], num_sample: 5}}",
        "config key rows.mine.num_sample: unknown; did you mean num_samples?",
    ),
    "name of a row that is always there": (
        "rows: {mean pose: [face]}",
        "config key rows.mean pose: the table has a row of this name always; rename the row",
    ),
    "key of before, face": (
        "face_model: {steps: 5}",
        "config key face_model: is now recipes.face; rename it",
    ),
    "key of before, body": (
        "body_model: {steps: 5}",
        "config key body_model: is now recipes.body; rename it",
    ),
}


def test_rows_that_are_always_there_are_those_of_the_table():
    assert set(ALWAYS) == set(evaluate.ROWS)


@pytest.mark.parametrize(("text", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(text, line):
    with pytest.raises(InputError, match=re.escape(line)) as caught:
        planned(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["unknown option", "missing run", "upper without lower", "options of no recipe"]
)
def test_a_mistake_is_found_before_any_job(name, tmp_path):
    text, line = MISTAKES[name]
    result = snakemake(make_project(tmp_path, config=text), "all", "-n")
    assert result.returncode == 2 and line in result.stderr and "Traceback" not in result.stderr


def test_a_lip_accurate_set_brings_fine_tuning_and_the_swap():
    runs, rows = planned_of(config.parse({"recipes": {"face": {"dim": 32}}}))
    assert list(runs) == [*BUILT_IN, "finetune_face", "swap_face"]
    tuned, swapped = runs["finetune_face"], runs["swap_face"]
    assert (tuned.data, tuned.start, tuned.options.loss_on, tuned.options.dim) == (
        "lip_acc",
        "face",
        "lips",
        32,
    )
    assert swapped.options == runs["face"].options and swapped.waits_for == ("face", "finetune_face")
    assert [runs[name].target for name in ("finetune_face", "swap_face")] == ["finetune_face", "swap_face"]
    assert [(row.name, [run.name for run in row.runs]) for row in rows[1:]] == [
        ("fine-tuned on lips", ["finetune_face"]),
        ("fine-tuned, swapped", ["swap_face"]),
    ]


def test_fine_tuning_goes_with_the_run_that_it_starts_from():
    runs, rows = planned_of(config.parse({"runs": {"face": None}, "rows": {"trained models": None}}))
    assert list(runs) == ["body_lower", "body_upper"] and rows == []


@pytest.mark.parametrize(
    "text, said",
    [
        ("runs: {mine: {recipe: face, data: lip_acc}}", "runs.mine: data lip_acc needs start"),
        (
            "runs: {mine: {recipe: body, data: lip_acc, start: body_lower}}",
            "runs.mine.data: the lip-accurate set has no body, which recipe body reads",
        ),
        (
            "runs: {mine: {recipe: face, start: face, swap: face}}",
            "swap a run that was fine-tuned from start",
        ),
        (
            "runs: {swap_face: {dim: 8}}",
            "runs.swap_face.dim: a swapped run has the options of face; leave it out",
        ),
    ],
)
def test_runs_on_lips_that_cannot_be(text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        planned_of(config.parse(yaml.safe_load(text)))


def test_a_run_of_ones_own_on_lips_needs_a_set():
    values = yaml.safe_load("runs: {mine: {recipe: face, data: lip_acc, start: face}}")
    with pytest.raises(InputError, match="runs.mine: learns from the lip-accurate set, and there is none"):
        without_lips(config.parse(values))
