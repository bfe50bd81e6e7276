from dataclasses import replace

import numpy as np
import pytest
from helpers.bodies import example

from pipeline.config import Body
from pipeline.errors import InputError
from pipeline.formats.bvh import Motion, load_bvh, read_names, save_bvh
from pipeline.motion.joint_map import fitting_maps, load_body, load_joint_map, missing_joints, rename_joints
from pipeline.motion.joints import (
    JOINT_MAPS,
    RELEASE_JOINTS,
    RELEASE_PARENTS,
    joint_map_file,
    shipped_joint_maps,
)
from pipeline.motion.skeleton import forward_kinematics
from pipeline.planning.study import REPOSITORY, Study


def table(tmp_path, *rows, header="theirs\tours"):
    path = tmp_path / "map.tsv"
    path.write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n")
    return path


def test_columns_are_found_by_name(tmp_path):
    assert load_joint_map(table(tmp_path, ("Hips", "pelvis"), header="ours\ttheirs")) == {"pelvis": "Hips"}


@pytest.mark.parametrize(
    ("rows", "header", "needles"),
    [
        ([("a", "Hips")], "from\tto", ("from, to", "theirs and ours")),
        ([("a", "Hips", "x")], "theirs\tours\tnote", ("note",)),
        ([], "theirs\tours", ("no rows",)),
        ([("a", "")], "theirs\tours", ("line 2", "empty cell")),
        ([("a", "Hips"), ("a", "Spine")], "theirs\tours", ("stand twice under theirs: a",)),
        ([("a", "Hips"), ("b", "Hips")], "theirs\tours", ("stand twice under ours: Hips",)),
        (
            [("a", "LeftUpleg"), ("b", "Quux")],
            "theirs\tours",
            ("LeftUpleg (did you mean LeftUpLeg?), Quux;",),
        ),
    ],
)
def test_broken_tables_are_named(tmp_path, rows, header, needles):
    path = table(tmp_path, *rows, header=header)
    with pytest.raises(InputError) as error:
        load_joint_map(path)
    assert all(needle in str(error.value) for needle in (*needles, str(path))) and "\n" not in str(
        error.value
    )


def test_renaming_is_simultaneous_and_moves_nothing():
    motion = example()
    renamed = rename_joints(motion, {"Spine": "Spine1", "Hips": "Spine", "Head": "Hips"})
    assert [renamed.names[motion.names.index(name)] for name in ("Spine", "Hips", "Head", "LeftArm")] == [
        "Spine1",
        "Spine",
        "Hips",
        "LeftArm",
    ]
    assert (
        np.array_equal(forward_kinematics(renamed)[0], forward_kinematics(motion)[0])
        and renamed.orders == motion.orders
    )


@pytest.mark.parametrize("prefix", ["mixamorig:", "Actor1_", "Bip01 "])
def test_prefixes_need_no_row_of_their_own(prefix):
    motion = example()
    prefixed = replace(motion, names=[prefix + name for name in motion.names])
    for name in ("LeftLeg", prefix + "LeftLeg"):
        renamed = rename_joints(prefixed, {name: "LeftFoo"})
        assert (
            renamed.names[motion.names.index("LeftLeg")] == "LeftFoo" and renamed.names[0] == prefix + "Hips"
        )
    with pytest.raises(InputError, match="mean the same joint"):
        rename_joints(prefixed, {"LeftLeg": "a", prefix + "LeftLeg": "b"})


def test_joints_that_the_body_lacks_are_listed():
    with pytest.raises(InputError) as error:
        rename_joints(example(), {"LeftUplegg": "LeftUpLeg", "Tail": "Spine3", "Hips": "Hips"})
    assert "no joints LeftUplegg (did you mean LeftUpLeg?), Tail;" in str(error.value)
    with pytest.raises(InputError, match="names would stand twice: Spine;"):
        rename_joints(example(), {"Neck": "Spine"})


def test_missing_joints_are_listed_in_order():
    motion = replace(example(), names=["x:" + name for name in example().names])
    assert missing_joints(motion, ["Spine3", "Hips", "Neck1", "LeftLeg"]) == ["Spine3", "Neck1"]
    assert set(missing_joints(motion, RELEASE_JOINTS)) == set(RELEASE_JOINTS) - set(example().names)


SHIPPED = ["biped", "cmu", "mixamo", "rigify", "smpl", "smpl_lr", "unreal4", "xsens"]


@pytest.mark.parametrize("name", SHIPPED)
def test_ready_maps_cover_the_body_and_are_the_same_left_and_right(name):
    assert joint_map_file(name).parent == JOINT_MAPS and joint_map_file("maps/mine.tsv").name == "mine.tsv"
    ours = load_joint_map(joint_map_file(name)).values()
    assert {
        f"{side}{part}"
        for side in ("Left", "Right")
        for part in ("UpLeg", "Leg", "Foot", "ToeBase", "Arm", "ForeArm", "Hand")
    } <= set(ours)
    assert {o.replace("Left", "Right") for o in ours if o.startswith("Left")} == {
        o for o in ours if o.startswith("Right")
    }


def test_there_are_no_other_ready_maps():
    assert sorted(path.stem for path in JOINT_MAPS.glob("*.tsv")) == SHIPPED == shipped_joint_maps()


def named(tmp_path, name, *, without=(), prefix="", change=str):
    """A body whose joints have the names of a shipped map, under a root of its own where the map has no hips'
    parent.
    """
    mapping = {
        theirs: ours for theirs, ours in load_joint_map(joint_map_file(name)).items() if ours not in without
    }
    parents = {ours: RELEASE_PARENTS[ours] for ours in mapping.values()}
    names = [ours for ours in RELEASE_JOINTS if ours in parents]
    theirs = {ours: prefix + change(their) for their, ours in mapping.items()}

    def parent(ours):
        ours = RELEASE_PARENTS[ours]
        while ours is not None and ours not in parents:
            ours = RELEASE_PARENTS[ours]
        return -1 if ours is None else names.index(ours)

    lengths = np.tile([0.0, -40.0, 0.0], (len(names), 1)) + np.arange(len(names))[:, None]
    turns = np.tile([0.0, 0, 0, 1], (3, len(names), 1))
    motion = Motion(
        [theirs[name] for name in names],
        np.array([parent(name) for name in names]),
        lengths,
        30.0,
        np.tile(lengths, (3, 1, 1)),
        turns,
    )
    save_bvh(tmp_path / f"{name}.bvh", motion)
    return tmp_path / f"{name}.bvh"


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_a_shipped_map_brings_its_bodies_to_our_names_and_is_proposed_for_them(tmp_path, name, change):
    path = named(tmp_path, name, change=change)
    motion = load_body(path, Body(joint_map=name))
    assert set(motion.names) == set(load_joint_map(joint_map_file(name)).values())
    assert name in fitting_maps(read_names(path))


def test_rows_of_fingers_and_toes_may_be_missing_in_a_shipped_map_and_hips_may_not(tmp_path):
    thin = [ours for ours in RELEASE_JOINTS if "Hand" in ours and ours not in ("LeftHand", "RightHand")]
    motion = load_body(named(tmp_path, "mixamo", without=thin, prefix="mixamorig:"), Body(joint_map="mixamo"))
    assert missing_joints(motion, ["Hips", "LeftHand", "LeftHandMiddle1"]) == ["LeftHandMiddle1"]
    path = named(tmp_path, "smpl")
    with pytest.raises(
        InputError, match="no joints Hips.*or set body.joint_map to smpl, whose names these are"
    ):
        load_body(path, Body(joint_map="mixamo"))
    own = tmp_path / "own.tsv"
    own.write_text(joint_map_file("mixamo").read_text())
    with pytest.raises(InputError, match="no joints LeftHandMiddle1"):
        load_body(named(tmp_path, "mixamo", without=thin), Body(joint_map=str(own)))
    with pytest.raises(
        InputError,
        match="joint map mixamoo: no such file, and none that comes with the software; name one of .*mixamo",
    ):
        load_body(path, Body(joint_map="mixamoo"))


def test_real_bodies_get_the_releases_names(real_data):
    path = real_data / "bvh" / "cmu_02_05.bvh"
    motion = rename_joints(load_bvh(path), load_joint_map(joint_map_file("cmu")))
    index = {name: j for j, name in enumerate(motion.names)}
    assert read_names(path)[index["Spine1"]] == "Spine" and "LHipJoint" in index
    for name in set(RELEASE_JOINTS) & set(index):
        ancestors, j = set(), int(motion.parents[index[name]])
        while j >= 0:
            ancestors.add(motion.names[j])
            j = int(motion.parents[j])
        parent = RELEASE_PARENTS[name]
        while parent and parent not in index:
            parent = RELEASE_PARENTS[parent]
        assert parent is None or parent in ancestors, f"{name} does not hang below {parent}"


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
