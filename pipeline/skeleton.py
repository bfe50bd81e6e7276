"""Skeletons: joint names, forward kinematics, and the body's own axes."""

from dataclasses import replace

import numpy as np

from pipeline import rotations
from pipeline.bvh import Motion
from pipeline.errors import InputError

_FINGERS = [f"{finger}{i}" for finger in ("Middle", "Ring", "Pinky", "Index", "Thumb") for i in ("", 1, 2, 3)]
_HAND = [name for name in _FINGERS if name not in ("Middle", "Thumb")]
SIDES = ("Left", "Right")
RELEASE_JOINTS = (
    ["Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Neck1", "Head"]
    + [f"{side}{part}" for side in SIDES for part in ["Shoulder", "Arm", "ForeArm", "Hand", *(f"Hand{name}" for name in _HAND)]]
    + [f"{side}{part}" for side in SIDES for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
)
"""The 60 named joints of the public release."""


def _release_parent(name: str) -> str | None:
    """Parent of a joint in the public release. Pinkies hang off ring fingers, thumbs off index fingers."""
    trunk = ["Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Neck1", "Head"]
    if name in trunk:
        return trunk[trunk.index(name) - 1] if name != "Hips" else None
    side = "Left" if name.startswith("Left") else "Right"
    part = name.removeprefix(side)
    limbs = {
        "Shoulder": "Spine3", "Arm": "Shoulder", "ForeArm": "Arm", "Hand": "ForeArm",
        "UpLeg": "Hips", "Leg": "UpLeg", "Foot": "Leg", "ToeBase": "Foot",
        "HandMiddle1": "Hand", "HandRing": "Hand", "HandIndex": "Hand", "HandPinky": "HandRing", "HandThumb1": "HandIndex",
    }  # fmt: skip
    parent = limbs.get(part) or (part[:-1] + str(int(part[-1]) - 1) if part[-1] in "23" else part[:-1])
    return parent if parent in trunk else side + parent


RELEASE_PARENTS = {name: _release_parent(name) for name in RELEASE_JOINTS}

_SPELLINGS = {
    "Hips": "hips hip pelvis root_hips",
    "Spine": "spine lowerback spine_01 abdomen",
    "Neck": "neck neck_01",
    "Head": "head",
    "Shoulder": "shoulder collar clavicle",
    "Arm": "arm uparm upperarm shoulder_joint",
    "ForeArm": "forearm lowarm lowerarm elbow",
    "Hand": "hand wrist",
    "UpLeg": "upleg upperleg thigh hip_joint upleg_joint",
    "Leg": "leg lowleg lowerleg calf shin knee",
    "Foot": "foot ankle",
    "ToeBase": "toebase toe ball toes toe_base",
}


def _plain(name: str) -> str:
    """A joint name without prefix, separators and case: `mixamorig:Left_UpLeg` -> `leftupleg`."""
    return name.split(":")[-1].replace("_", "").replace("-", "").replace(" ", "").replace(".", "").lower()


def _usual_spellings() -> dict[str, str]:
    result = {}
    for canonical, spellings in _SPELLINGS.items():
        plain = [_plain(s) for s in spellings.split()]
        if canonical in ("Hips", "Spine", "Neck", "Head"):
            result.update({p: canonical for p in plain})
            continue
        for side, letter in zip(SIDES, "lr"):
            for p in plain:
                for spelling in (side.lower() + p, letter + p, p + letter, p + side.lower()):
                    result[spelling] = side + canonical
    return result


_USUAL = _usual_spellings()


def aliases(names: list[str]) -> dict[str, int]:
    """Index of each joint by canonical name.

    Canonical names are those of the public release. A joint whose name is canonical but for prefix, separators or case
    wins over one that is only a usual spelling. Joints without a canonical name are found under their own plain name.
    """
    exact = {_plain(name): name for name in RELEASE_JOINTS}
    found: dict[str, int] = {}
    for table in (exact, _USUAL):
        for j, name in enumerate(names):
            canonical = table.get(_plain(name))
            if canonical and canonical not in found and j not in found.values():
                found[canonical] = j
    if "ToeBase" not in found:  # skeletons that call hip, knee and ankle LeftHip, LeftKnee, LeftAnkle
        for side in SIDES:
            plain = {_plain(name): j for j, name in enumerate(names)}
            if f"{side}UpLeg" not in found and f"{side.lower()}hip" in plain:
                found[f"{side}UpLeg"] = plain[f"{side.lower()}hip"]
    for j, name in enumerate(names):
        if j not in found.values():
            found.setdefault(name.split(":")[-1], j)
    return found


def require(motion: Motion, wanted: list[str], where: str = "skeleton") -> list[int]:
    """Indices of canonical joints; InputError names those that the skeleton lacks."""
    found = motion.aliases()
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            f"{where}: joints not found: {', '.join(missing)} among {', '.join(motion.names[:8])}, ...; rename them to the release's names"
        )
    return [found[name] for name in wanted]


def forward_kinematics(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, J, 3) in cm and rotations (T, J, 4), xyzw, of every joint."""
    return chain(motion.parents, motion.positions_cm, motion.rotations)


def chain(parents: np.ndarray, positions: np.ndarray, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World positions (..., J, 3) and rotations (..., J, 4) from local ones; parents come before their children."""
    world_positions = np.empty(np.broadcast_shapes(positions.shape, (*local.shape[:-1], 3)))
    world = np.empty_like(local)
    for j, parent in enumerate(parents):
        if parent < 0:
            world_positions[..., j, :], world[..., j, :] = positions[..., j, :], local[..., j, :]
        else:
            world_positions[..., j, :] = world_positions[..., parent, :] + rotations.rotate(world[..., parent, :], positions[..., j, :])
            world[..., j, :] = rotations.multiply(world[..., parent, :], local[..., j, :])
    return world_positions, world


def hips_frame(names: list[str], offsets_cm: np.ndarray) -> np.ndarray:
    """The constant rotation (4,) from the body's axes (x left, y up, z forward) to the Hips joint's own axes.

    Bone axes differ between exporters: in the public release the Hips of a standing person are turned by half a turn,
    where exponential maps jump. Left is taken from the right hip joint to the left one, up from the first joint of the
    spine, both as the skeleton's offsets place them. Hips rotations times this rotation are the identity for a person
    who stands upright and looks along +z.
    """
    found = aliases(names)
    missing = [name for name in ("LeftUpLeg", "RightUpLeg", "Spine") if name not in found]
    if missing:
        raise InputError(f"skeleton: joints not found: {', '.join(missing)} among {', '.join(names[:8])}, ...; rename them to the release's names")
    left = offsets_cm[found["LeftUpLeg"]] - offsets_cm[found["RightUpLeg"]]
    if np.linalg.norm(left) < 1e-6 and "LHipJoint" in found:
        left = offsets_cm[found["LHipJoint"]] - offsets_cm[found["RHipJoint"]]
    left = left / np.linalg.norm(left)
    up = offsets_cm[found["Spine"]]
    if np.linalg.norm(up) < 1e-6:
        up = -(offsets_cm[found["LeftUpLeg"]] + offsets_cm[found["RightUpLeg"]])
    axes = np.eye(3)
    # exporters align bones with coordinate axes; a spine that leans a little must not tilt the body's frame
    up = axes[np.argmax(np.abs(up))] * np.sign(up[np.argmax(np.abs(up))])
    left = axes[np.argmax(np.abs(left))] * np.sign(left[np.argmax(np.abs(left))])
    return rotations.from_matrix(np.stack([left, up, np.cross(left, up)], 1))


def heading(names: list[str], offsets_cm: np.ndarray, hips: np.ndarray) -> np.ndarray:
    """Heading (...,) in radians of Hips rotations (..., 4): 0 looks along +z, +pi/2 along +x."""
    forward = rotations.rotate(rotations.multiply(hips, hips_frame(names, offsets_cm)), np.array([0.0, 0.0, 1.0]))
    return np.arctan2(forward[..., 0], forward[..., 2])


def keep_joints(motion: Motion, names: list[str]) -> Motion:
    """The motion on a subset of its joints, in that order; what is left out is folded into its descendants.

    A dropped joint's movement reaches its kept descendants, so world positions of kept joints do not change; where that
    moves a joint against its new parent, it gets position channels. Raises InputError naming joints that are missing,
    stand twice or before their parents.
    """
    found = {name: j for j, name in enumerate(motion.names)} | {k: v for k, v in motion.aliases().items()}
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(f"skeleton: joints not found: {', '.join(missing)}; list the joints that all bodies have under body.joints")
    index = [found[name] for name in names]
    world_positions, world = forward_kinematics(motion)
    parents, local_positions, local, offsets, moving = [], [], [], [], set()
    for i, j in enumerate(index):
        parent = motion.parents[j]
        while parent >= 0 and parent not in index:
            parent = motion.parents[parent]
        direct = parent == motion.parents[j]
        parents.append(index.index(parent) if parent >= 0 else -1)
        if direct:
            local_positions.append(motion.positions_cm[:, j])
            local.append(motion.rotations[:, j])
            offsets.append(motion.offsets_cm[j])
        elif parent < 0:
            local_positions.append(world_positions[:, j])
            local.append(world[:, j])
            offsets.append(motion.offsets_cm[j])
        else:
            back = rotations.inverse(world[:, parent])
            moved = rotations.rotate(back, world_positions[:, j] - world_positions[:, parent])
            if np.ptp(moved, axis=0).max() > 1e-4:
                moving.add(i)
            local_positions.append(moved)
            local.append(rotations.multiply(back, world[:, j]))
            offsets.append(moved.mean(0))
    wrong = [names[i] for i, parent in enumerate(parents) if (parent < 0) != (i == 0) or parent >= i or index[i] in index[:i]]
    if wrong:
        raise InputError(f"joints {', '.join(wrong)}: need each joint once and after its parent, one root, first; correct body.joints")
    free = moving | {i for i, j in enumerate(index) if j in motion.free or parents[i] < 0}
    orders = [motion.orders[j] for j in index] if motion.orders else None
    ends = {i: motion.ends_cm[j] for i, j in enumerate(index) if j in motion.ends_cm}
    return replace(
        motion, names=list(names), parents=np.array(parents), offsets_cm=np.array(offsets), positions_cm=np.stack(local_positions, 1),
        rotations=np.stack(local, 1), ends_cm=ends, orders=orders, free=frozenset(free),
    )  # fmt: skip
