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
