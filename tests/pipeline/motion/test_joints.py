import pytest

from pipeline.motion import joints


def test_release_joints_are_60_in_a_tree():
    assert len(joints.RELEASE_JOINTS) == len(set(joints.RELEASE_JOINTS)) == 60
    for name, parent in joints.RELEASE_PARENTS.items():
        assert (parent is None) == (name == "Hips")
        assert parent is None or joints.RELEASE_JOINTS.index(parent) < joints.RELEASE_JOINTS.index(name)
    parents = joints.RELEASE_PARENTS
    assert parents["LeftHandPinky"] == "LeftHandRing" and parents["RightHandThumb1"] == "RightHandIndex"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["mixamorig:Hips", "mixamorig:LeftUpLeg", "mixamorig:LeftToeBase"],
            ["Hips", "LeftUpLeg", "LeftToeBase"],
        ),
        (
            ["pelvis", "thigh_l", "calf_l", "foot_l", "ball_l", "upperarm_r"],
            ["Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase", "RightArm"],
        ),
        (
            ["Hips", "LeftHip", "LeftKnee", "LeftAnkle", "LeftToe"],
            ["Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase"],
        ),
        (
            ["hip", "lThigh", "rShin", "lFoot", "abdomen"],
            ["Hips", "LeftUpLeg", "RightLeg", "LeftFoot", "Spine"],
        ),
        (["Actor1_Hips", "Actor1_LeftUpLeg", "Actor1_LeftHand"], ["Hips", "LeftUpLeg", "LeftHand"]),
        (
            ["Bip01 Pelvis", "Bip01 L Thigh", "Bip01 R Calf", "Bip01 L UpperArm"],
            ["Hips", "LeftUpLeg", "RightLeg", "LeftArm"],
        ),
        (["Reference", "ns:p1_Hips", "ns:p1_Spine", "ns:p1_Prop"], ["Reference", "Hips", "Spine", "Prop"]),
        (["left_hip", "left_knee", "pelvis", "spine_01"], ["LeftUpLeg", "LeftLeg", "Hips", "Spine"]),
        (
            ["Hips", "LeftCollar", "LeftShoulder", "LeftElbow", "LeftWrist"],
            ["Hips", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"],
        ),
        (
            ["Hips", "LowerBack", "Spine", "LeftShoulder", "LeftArm"],
            ["Hips", "LowerBack", "Spine", "LeftShoulder", "LeftArm"],
        ),
    ],
)
def test_aliases_know_usual_spellings(names, expected):
    found = joints.aliases(names)
    assert [found[name] for name in expected] == list(range(len(names)))


def test_aliases_never_give_one_joint_two_names():
    found = joints.aliases(["Hips", "hip", "LeftUpLeg", "LeftThigh", "Prop"])
    assert found["Hips"] == 0 and found["LeftUpLeg"] == 2 and len(set(found.values())) == len(found) == 5
