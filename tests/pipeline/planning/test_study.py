from types import SimpleNamespace

import pytest

from pipeline.errors import InputError
from pipeline.planning.code import REPOSITORY
from pipeline.planning.study import Study


def test_the_map_of_the_config_is_an_input_of_the_rule(tmp_path):
    own = tmp_path / "own.txt"  # a table by content, whatever its name
    own.write_text("theirs\tours\n")
    for name, inputs in (
        (None, []),
        ("mixamo", ["pipeline/motion/joint_maps/mixamo.tsv"]),
        (str(own), [str(own)]),
    ):
        assert Study({"body": {"joint_map": name}}).joint_map == inputs
    assert "joint_map=study.joint_map," in (REPOSITORY / "rules" / "capture.smk").read_text()
    with pytest.raises(
        InputError,
        match=(
            "body.joint_map needs gone.tsv, which is not there; name a table of joint names, or one .*:"
            " biped, cmu"
        ),
    ):
        Study({"root": str(tmp_path), "body": {"joint_map": "gone.tsv"}}).check_named_files()


def test_held_out_takes_are_shown_with_all_rows_and_the_first_other_without(tmp_path):
    rows = {"trained models": ["face", "body_lower", "body_upper"], "faces": ["face"]}
    values = {"root": str(tmp_path), "rows": rows, "generate": {"num_samples": 2}}
    study = Study(values | {"simulate": {"lip_passages": 0}})
    (held_out,) = study.test_takes
    assert study.shown_takes == [held_out, "20240108_001"]
    shown, other = (SimpleNamespace(take=take) for take in study.shown_takes)
    folders = study.row_folders_of(shown)
    assert folders == [f"{tmp_path}/results/generated/{name}" for name in ("trained_models", "faces")]
    files = set(study.all_generated_of(shown))
    assert files == {
        f"{folder}/{sample}{name}"
        for folder in folders
        for sample in ("", "sample-01/")
        for performance in study.takes[held_out].performances
        for name in (f"bvhs/{performance}.bvh", f"face_arkit/{performance}.npy")
        if "faces" not in folder or name.startswith("face")
    } | {f"{folder}/generated.json" for folder in folders}
    assert study.row_folders_of(other) == study.all_generated_of(other) == []
