import numpy as np
import pytest

from pipeline.config import Body
from pipeline.errors import InputError
from pipeline.formats.bvh import read_names, save_bvh
from pipeline.formats.people import load_body
from pipeline.motion.joint_map import fitting_maps, load_joint_map, missing_joints
from pipeline.motion.joints import RELEASE_JOINTS, RELEASE_PARENTS, joint_map_file, shipped_joint_maps
from pipeline.motion.motion import Motion


def named(tmp_path, name, *, without=(), prefix="", change=str):
    """A body whose joints have the names of a shipped map.

    It has a root of its own where the map has no hips' parent.
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


@pytest.mark.parametrize("name", shipped_joint_maps())
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
