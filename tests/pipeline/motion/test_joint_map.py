from dataclasses import replace

import numpy as np
import pytest
from helpers.bodies import example

from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh, read_names
from pipeline.motion.joint_map import load_joint_map, missing_joints, rename_joints
from pipeline.motion.joints import (
    JOINT_MAPS,
    RELEASE_JOINTS,
    RELEASE_PARENTS,
    joint_map_file,
    shipped_joint_maps,
)
from pipeline.motion.skeleton import forward_kinematics


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
