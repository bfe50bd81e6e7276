"""People: one or two bodies out of BVH files of any skeleton, ready to be labelled.

In: BVH files, and how to read them (`unit`, `up`, `joint_map` of the config's section `body`). Out: motions
in cm with y up and the dataset's joint names, of one room and on one clock where they are two. A foot without
a toe joint gets one at its End Site.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from pipeline.config import Body
from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh
from pipeline.motion import upright
from pipeline.motion.joint_map import load_joint_map, rename_joints
from pipeline.motion.joints import JOINT_MAPS, SIDES, joint_map_file
from pipeline.motion.motion import Motion

log = logging.getLogger("interact")
READ_BY: dict[type[BaseModel], tuple[str, ...]] = {Body: ("joint_map", "unit", "up")}
"""Fields of the config that say how a BVH file is read: flags of every stage that labels bodies."""
MOST_APART_SECONDS = 0.2
"""How much longer than the other the file of one of two bodies may be; so much is left out at its end."""


def load_body(path: Path, options: Body | None = None, *, where: str | None = None) -> Motion:
    """A BVH file by `unit` and `joint_map` of the options, with its joints under the dataset's names.

    InputError names the file, or `where` it belongs, when the map does not fit it.
    """
    options = options or Body()
    motion = load_bvh(path, unit=None if options.unit == "auto" else options.unit)
    if not options.joint_map:
        return motion
    table = joint_map_file(options.joint_map)
    mapping = load_joint_map(table)
    try:
        return rename_joints(motion, mapping, partly=table.parent == JOINT_MAPS)
    except InputError as error:
        raise InputError(f"{where or path}: {error}") from None


def with_toes(motion: Motion) -> Motion:
    """The motion with a toe joint at the End Site of each foot that has no joint below it.

    Old BVH files name none.
    """
    found = motion.aliases()
    for side in SIDES:
        foot = found.get(f"{side}Foot")
        if (
            foot is None
            or f"{side}ToeBase" in found
            or foot in motion.parents
            or not np.linalg.norm(motion.ends_cm.get(foot, np.zeros(3))) > 0
        ):
            continue
        tip, num_frames = motion.ends_cm[foot], motion.num_frames
        motion = replace(
            motion,
            names=[*motion.names, f"{side}ToeBase"],
            parents=np.append(motion.parents, foot),
            offsets_cm=np.concatenate([motion.offsets_cm, tip[None]]),
            positions_cm=np.concatenate([motion.positions_cm, np.broadcast_to(tip, (num_frames, 1, 3))], 1),
            rotations=np.concatenate(
                [motion.rotations, np.broadcast_to([0.0, 0.0, 0.0, 1.0], (num_frames, 1, 4))], 1
            ),
            ends_cm={j: end for j, end in motion.ends_cm.items() if j != foot},
            orders=None if motion.orders is None else [*motion.orders, "zyx"],
        )
    return motion


def load_people(paths: Sequence[Path], body: Body | None = None) -> list[Motion]:
    """The bodies of one room, one or two.

    Where one of two is longer, by MOST_APART_SECONDS at most, its end is left out, with a warning. InputError
    names what cannot be read, and who is given twice.
    """
    body = body or Body()
    if len(paths) == 2 and paths[0].resolve() == paths[1].resolve():
        raise InputError(f"{paths[0]}: is given twice, need the bodies of two people; correct the command")
    motions = [with_toes(load_body(path, body)) for path in paths]
    motions = upright.stand(
        motions, body.up, wheres=[str(path) for path in paths], key="body.up", sides=body.up == "auto"
    )
    lengths = [motion.num_frames for motion in motions]
    if (
        len(motions) == 2
        and abs(motions[0].fps - motions[1].fps) <= 1e-3
        and 0 < abs(lengths[0] - lengths[1]) <= MOST_APART_SECONDS * motions[0].fps
    ):
        longer = paths[int(np.argmax(lengths))]
        log.warning(
            "%s: %d frames longer than the other body, which are left out",
            longer,
            abs(lengths[0] - lengths[1]),
        )
        motions = [motion.frames(slice(min(lengths))) for motion in motions]
    return motions
