"""Skeletons: forward kinematics, the body's own axes, and subsets of joints."""

from dataclasses import replace

import numpy as np

from pipeline.errors import InputError
from pipeline.motion import rotations
from pipeline.motion.joint_map import fitting_hint
from pipeline.motion.joints import aliases
from pipeline.motion.motion import Motion


def require(motion: Motion, wanted: list[str], where: str = "skeleton") -> list[int]:
    """Indices of canonical joints.

    InputError names those that the skeleton lacks, and the shipped joint map that would bring them.
    """
    found = motion.aliases()
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(f"{where}: {_not_found(missing, motion.names)}")
    return [found[name] for name in wanted]


def _not_found(missing: list[str], names: list[str]) -> str:
    hint = fitting_hint(names) or "name them in body.joint_map, a table of theirs and ours"
    return f"joints not found: {', '.join(missing)} among {', '.join(names[:8])}, ...; {hint}"


def forward_kinematics(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, J, 3) in cm and rotations (T, J, 4), xyzw, of every joint."""
    return chain(motion.parents, motion.positions_cm, motion.rotations)


def chain(parents: np.ndarray, positions: np.ndarray, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World positions (..., J, 3) and rotations (..., J, 4) from local ones.

    Parents come before their children.
    """
    world_positions = np.empty(np.broadcast_shapes(positions.shape, (*local.shape[:-1], 3)))
    world = np.empty_like(local)
    for j, parent in enumerate(parents):
        if parent < 0:
            world_positions[..., j, :], world[..., j, :] = positions[..., j, :], local[..., j, :]
        else:
            world_positions[..., j, :] = world_positions[..., parent, :] + rotations.rotate(
                world[..., parent, :], positions[..., j, :]
            )
            world[..., j, :] = rotations.multiply(world[..., parent, :], local[..., j, :])
    return world_positions, world


def bone_tips(ends_cm: dict[int, np.ndarray], places: np.ndarray, world: np.ndarray) -> np.ndarray:
    """Tips (T, J, 3) of the joints at `places` with world rotations (T, J, 4).

    Where a joint has no tip, it is the joint's own place.
    """
    tips = places.copy()
    for j, end in ends_cm.items():
        tips[:, j] += rotations.rotate(world[:, j], end)
    return tips


def hips_frame(names: list[str], offsets_cm: np.ndarray) -> np.ndarray:
    """The constant rotation (4,) from the body's axes (x left, y up, z forward) to the Hips joint's own axes.

    Bone axes differ between exporters: in the public release the Hips of a standing person are turned by half
    a turn, where exponential maps jump. Left is taken from the right hip joint to the left one, up from the
    first joint of the spine, both as the skeleton's offsets place them. Hips rotations times this rotation
    are the identity for a person who stands upright and looks along +z.
    """
    found = aliases(names)
    missing = [name for name in ("LeftUpLeg", "RightUpLeg", "Spine") if name not in found]
    if missing:
        raise InputError(f"skeleton: {_not_found(missing, names)}")
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
    forward = rotations.rotate(
        rotations.multiply(hips, hips_frame(names, offsets_cm)), np.array([0.0, 0.0, 1.0])
    )
    return np.arctan2(forward[..., 0], forward[..., 2])


def keep_joints(motion: Motion, names: list[str]) -> Motion:
    """The motion on a subset of its joints, in that order; what is left out is folded into its descendants.

    A dropped joint's movement reaches its kept descendants, so world positions of kept joints do not change;
    where that moves a joint against its new parent, it gets position channels. Raises InputError naming
    joints that are missing, stand twice or before their parents.
    """
    found = {name: j for j, name in enumerate(motion.names)} | {k: v for k, v in motion.aliases().items()}
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"skeleton: joints not found: {', '.join(missing)}; list the joints that all bodies have under"
            " body.joints"
        )
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
    wrong = [
        names[i]
        for i, parent in enumerate(parents)
        if (parent < 0) != (i == 0) or parent >= i or index[i] in index[:i]
    ]
    if wrong:
        raise InputError(
            f"joints {', '.join(wrong)}: need each joint once and after its parent, one root, first; correct"
            " body.joints"
        )
    free = moving | {i for i, j in enumerate(index) if j in motion.free or parents[i] < 0}
    orders = [motion.orders[j] for j in index] if motion.orders else None
    ends = {i: motion.ends_cm[j] for i, j in enumerate(index) if j in motion.ends_cm}
    return replace(
        motion,
        names=list(names),
        parents=np.array(parents),
        offsets_cm=np.array(offsets),
        positions_cm=np.stack(local_positions, 1),
        rotations=np.stack(local, 1),
        ends_cm=ends,
        orders=orders,
        free=frozenset(free),
    )
