"""The jobs that status knows after the takes: trainings that rows need, a folder for each row, the table."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.workflow_project import REPOSITORY

from pipeline.planning.status import model_steps, shard_steps
from pipeline.planning.study import Study


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_runs_and_rows_are_steps_with_their_outputs_and_logs():
    steps = model_steps(Study({"root": "out"}))
    runs = {"train_face": "face", "train_body_lower": "body_lower", "train_body_upper": "body_upper"}
    runs |= {"finetune_face": "finetune_face", "swap_face": "swap_face"}
    rows = ("trained_models", "fine_tuned_on_lips", "fine_tuned_swapped")
    assert [(step.stage, str(step.output), str(step.log)) for step in steps] == [
        *(
            (
                stage,
                f"out/runs/{name}/model.safetensors",
                f"out/logs/{'swap_run' if stage == 'swap_face' else 'train_run'}/{name}.log",
            )
            for stage, name in runs.items()
        ),
        *(
            (f"generate_{row}", f"out/results/generated/{row}/generated.json", f"out/logs/generate/{row}.log")
            for row in rows
        ),
        ("evaluate", "out/results/table.csv", "out/logs/evaluate.log"),
    ]


def test_a_run_that_no_row_needs_is_no_step():
    values = {
        "root": "out",
        "simulate": {"lip_passages": 0},
        "runs": {
            "spare": {"recipe": "face"},
            "first": {"recipe": "face"},
            "later": {"recipe": "face", "start": "first"},
        },
        "rows": {"trained models": None, "faces": ["later"]},
    }
    steps = model_steps(Study(values))
    assert [step.stage for step in steps] == ["train_first", "train_later", "generate_faces", "evaluate"]


@pytest.mark.parametrize(("audio", "hears"), [("speech", True), ("mel", False)])
def test_speech_is_a_step_where_a_needed_run_hears_it(audio, hears):
    study = Study({"root": "out", "recipes": {"face": {"audio": audio}}})
    assert ("speech" in {step.stage for step in shard_steps(study)}) == hears


def test_the_rules_have_the_logs_that_status_reads():
    rules = "".join(path.read_text() for path in sorted((REPOSITORY / "rules").glob("*.smk")))
    for step in model_steps(Study({"root": "out"})):
        place = Path(step.log).relative_to("out")
        folder = place.parent.name
        names = {"train_run": "{{run}}", "swap_run": "{{run}}", "generate": "{row.folder}"}
        name = names.get(folder, place.stem)
        assert f'f"{{ROOT}}/{place.parent}/{name}.log"' in rules


def test_rigs_are_read_where_a_run_learns_vertices(tmp_path):
    runs = {
        "faceformer_vertices": {"recipe": "faceformer", "target": "vertices"},
        "read": {"recipe": "faceformer", "start": "faceformer_vertices", "data": "lip_acc"},
    }
    rows = {"vertices": ["faceformer_vertices"]}
    study = Study({"runs": runs, "rows": rows})
    rigs = [f"data/dataset/rigs/{actor}.npz" for actor in study.actors]
    own = SimpleNamespace(run="faceformer_vertices")
    assert len(rigs) > 1 and study.run_rigs(own) == rigs
    assert "--rigs data/dataset/rigs " in study.run_flags(own)
    assert study.run_rigs(SimpleNamespace(run="face")) == []
    assert "--rigs" not in study.run_flags(SimpleNamespace(run="face"))
    readers = sorted({row.actor for row in study.lip_acc.values()})
    assert study.run_rigs(SimpleNamespace(run="read")) == [
        f"data/shoot/rigs/{actor}.npz" for actor in readers
    ]
    assert "--rigs data/shoot/rigs " in study.run_flags(SimpleNamespace(run="read"))
    assert {row.name: study.row_rigs(row) for row in study.rows} == {
        row.name: rigs if row.name == "vertices" else [] for row in study.rows
    }
    one = tmp_path / "rig.npz"
    alone = Study({"runs": runs, "rows": rows})
    alone.config = alone.config.model_copy(update={"dataset": str(tmp_path), "rig": str(one)})
    assert set(alone.run_rigs(own)) == {str(one)} and f"--rigs {one} " in alone.run_flags(own)


def test_the_index_is_read_where_a_run_is_told_labels():
    """Labels stand there and in no shard: others do not wait for it, and are not trained again with it."""
    study = Study({"runs": {"face": {"told": ["emotion"]}}})
    index = ["data/shards/index.parquet"]
    for name, want in {"face": index, "body_lower": [], "finetune_face": []}.items():
        assert study.run_labels(SimpleNamespace(run=name)) == want
    row, *_ = study.rows
    assert study.runs["finetune_face"].options.told == ("emotion",)
    assert study.row_labels(row) == index
    assert Study({}).row_labels(Study({}).rows[0]) == []
