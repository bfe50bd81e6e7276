"""Facing: whether an actor's head is turned to the partner, frame by frame.

In: the BVHs of a take's two performances. Out: a .npy of uint8 each, 1 where the actor faces the partner.

The rule: the head looks where it looked in the rest pose, straight ahead of the body, turned by what the head joint has
turned since. On the ground, the angle between that and the direction from this head to the partner's is at most
`max_angle_deg`. Stretches shorter than `min_seconds` join their longer neighbour. Eyes are not known, and a head that
looks straight up or down (its direction on the ground is shorter than sin 10 deg) faces nobody.
"""

from pathlib import Path

import numpy as np

from pipeline import rotations, stage
from pipeline.actions import join_short
from pipeline.bvh import Motion, load_bvh
from pipeline.config import Facing
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.skeleton import forward_kinematics, hips_frame, require


def head_forward(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Head positions (T, 3) in cm and unit vectors (T, 3) of where the heads look.

    A rest pose has no rotations: every joint's axes are the hips' own axes, in which the body looks along the forward
    axis of `hips_frame`. The head joint carries that axis with it.
    """
    (head,) = require(motion, ["Head"])
    world, turned = forward_kinematics(motion)
    forward = rotations.rotate(hips_frame(motion.names, motion.offsets_cm), np.array([0.0, 0.0, 1.0]))
    return world[:, head], rotations.rotate(turned[:, head], forward)


def label_facing(motions: list[Motion], options: Facing | None = None) -> list[np.ndarray]:
    """For each of two actors, uint8 (T,): 1 where the actor's head is turned to the partner's (see the module's rule).

    Both motions stand in one room and on one clock. Raises InputError where they differ in frames or rate, lack a head,
    or have frames with NaN.
    """
    options = options or Facing()
    first, second = motions
    if first.num_frames != second.num_frames or abs(first.fps - second.fps) > 1e-3:
        raise InputError(
            f"facing: got {first.num_frames} frames at {first.fps:g} fps and {second.num_frames} at {second.fps:g}, "
            "need two bodies of one take, equally long; cut both to the same window"
        )
    heads, looks = zip(*(head_forward(motion) for motion in motions), strict=True)
    result = []
    for k in range(2):
        if not (np.isfinite(heads[k]).all() and np.isfinite(looks[k]).all()):
            raise InputError(f"facing: NaN in the head of body {k + 1}; need none, mend the file")
        way, look = (heads[1 - k] - heads[k])[:, [0, 2]], looks[k][:, [0, 2]]
        level = np.linalg.norm(look, axis=1)
        dot, cross = np.sum(way * look, 1), way[:, 0] * look[:, 1] - way[:, 1] * look[:, 0]
        faces = (np.abs(np.arctan2(cross, dot)) <= np.radians(options.max_angle_deg)) & (level > np.sin(np.radians(10)))
        result.append(join_short(faces.astype(np.uint8), round(options.min_seconds * first.fps)))
    return result


def run(*, bvh: list[Path], out: list[Path], options: Facing) -> None:
    """Label the bodies of a take and write their .npy: of both, or of the first alone."""
    if len(out) > len(bvh):
        raise InputError(f"facing: {len(out)} outputs for {len(bvh)} bodies, need one for each or one for the first")
    try:
        labels = label_facing([load_bvh(path) for path in bvh], options)
    except InputError as error:
        raise InputError(f"{bvh[0]}, {bvh[1]}: {error}") from None
    for target, values in zip(out, labels, strict=False):
        with whole(target) as temporary, open(temporary, "wb") as f:
            np.save(f, values)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Facing)
    parser.add_argument("--bvh", type=Path, nargs=2, required=True, help="bodies of the take's two performances")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help=".npy files to write, in the same order; one is that of the first body")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
