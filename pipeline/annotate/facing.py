"""Facing: whether an actor's head and body are turned to the partner, frame by frame.

In: the BVHs of a take's two performances. Out: a .npy of uint8 each, 1 where the actor faces the partner.

The rule, on the ground. The head looks where it looked in the rest pose, straight ahead of the body, turned
by what the head joint has turned since; the body looks where the hips point. An actor faces the partner where
the direction to the partner's head is within `max_angle_deg` of where the head looks and within
`max_hips_angle_deg` of where the hips point, so that a glance over the shoulder is no facing. Such a stretch
reaches, at both its ends, up to `margin_deg` beyond either angle. Stretches shorter than `min_seconds` join
their longer neighbour. Eyes are not known, and a head that looks straight up or down (its direction on the
ground is shorter than the sine of `min_level_deg`) faces nobody.
"""

from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.annotate.actions import hysteresis, join_short
from pipeline.config import Body, Facing
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.people import READ_BY, load_people
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics, hips_frame, require

Looks = tuple[np.ndarray, np.ndarray, np.ndarray]


def looks(motion: Motion, placed: tuple[np.ndarray, np.ndarray] | None = None) -> Looks:
    """Head positions (T, 3) in cm, and unit vectors (T, 3) of where the heads look and where the hips point.

    A rest pose has no rotations: every joint's axes are the hips' own axes, in which the body looks along the
    forward axis of `hips_frame`. Each joint carries that axis with it. `placed` is what `forward_kinematics`
    gives of the motion, where it is known.
    """
    head, hips = require(motion, ["Head", "Hips"])
    world, turned = placed or forward_kinematics(motion)
    forward = rotations.rotate(hips_frame(motion.names, motion.offsets_cm), np.array([0.0, 0.0, 1.0]))
    return (
        world[:, head],
        rotations.rotate(turned[:, head], forward),
        rotations.rotate(turned[:, hips], forward),
    )


def ground_angle_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angle (T,) in degrees, 0 to 180, between vectors (T, 3) on the ground, y up."""
    one, other = one[:, [0, 2]], other[:, [0, 2]]
    dot, cross = np.sum(one * other, 1), one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    return np.degrees(np.abs(np.arctan2(cross, dot)))


def label_facing(motions: list[Motion], options: Facing | None = None) -> list[np.ndarray]:
    """For each of two actors, uint8 (T,): 1 where head and hips are turned to the partner's head.

    See the module's rule.

    Both motions stand in one room and on one clock. Raises InputError where they differ in frames or rate,
    lack a head, or have frames with NaN.
    """
    first, second = motions
    if first.num_frames != second.num_frames or abs(first.fps - second.fps) > 1e-3:
        raise InputError(
            f"facing: got {first.num_frames} frames at {first.fps:g} fps and {second.num_frames} at"
            f" {second.fps:g}, need two bodies of one take, equally long; cut both to the same window"
        )
    return label_looks([looks(motion) for motion in motions], first.fps, options or Facing())


def label_looks(bodies: list[Looks], fps: float, options: Facing) -> list[np.ndarray]:
    """The labels of `label_facing` from what `looks` gives of each of the two."""
    for k, body in enumerate(bodies):
        if not all(np.isfinite(part).all() for part in body):
            raise InputError(f"facing: NaN in the head of body {k + 1}; need none, mend the file")
    result = []
    for (head, look, ahead), (other, _, _) in zip(bodies, bodies[::-1], strict=True):
        by_head, by_hips = ground_angle_deg(look, other - head), ground_angle_deg(ahead, other - head)
        level = np.linalg.norm(look[:, [0, 2]], axis=1) > np.sin(np.radians(options.min_level_deg))
        begins, stays = (
            level
            & (by_head <= options.max_angle_deg + margin)
            & (by_hips <= options.max_hips_angle_deg + margin)
            for margin in (0.0, options.margin_deg)
        )
        result.append(
            join_short(hysteresis(begins, stays).astype(np.uint8), round(options.min_seconds * fps))
        )
    return result


def run(*, bvh: list[Path], out: list[Path], options: Facing, body: Body | None = None) -> None:
    """Label the bodies of a take and write their .npy: of both, or of the first alone.

    `body` says how files are read (pipeline.formats.people).
    """
    if len(bvh) != 2:
        raise InputError(
            f"facing: got {len(bvh)} bodies, need those of two people in one room: who faces whom; give both"
            " files"
        )
    if len(out) > len(bvh):
        raise InputError(
            f"facing: {len(out)} outputs for {len(bvh)} bodies, need one for each or one for the first"
        )
    try:
        labels = label_facing(load_people(bvh, body), options)
    except InputError as error:
        raise InputError(f"{bvh[0]}, {bvh[1]}: {error}") from None
    for target, values in zip(out, labels, strict=False):
        with whole(target) as temporary, open(temporary, "wb") as f:
            np.save(f, values)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Facing, shared=READ_BY)
    stage.add_files(parser, "bvh", nargs="+", help="bodies (.bvh) of two people in one room, of any skeleton")
    parser.add_argument(
        "--out",
        type=Path,
        nargs="+",
        required=True,
        help=".npy files to write, in the same order; one is that of the first body",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
