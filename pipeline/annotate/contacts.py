"""Contacts: when a hand touches a head, a shoulder, an elbow or a hand, the actor's own or the partner's.

In: the BVHs of a take's two performances, or of one body, which may touch itself. Out: a JSON of intervals,
`contacts`: who touches (`actor`, with `hand`), whom (`of`) and where (`type`, and the `part` touched), from
frame `start` to before frame `stop`, and `frames`, `fps`, `actors`.

The rule (paper, A.5). Hands, heads, shoulders and elbows are capsules along the bones, as thick as RADII say
in lengths of the actor's own forearm, 0.44 of its arm. Two parts touch when their surfaces come closer than
`gap`; a touch reaches, at both its ends, to where they are `release_gap` apart. Both are shares of the mean
forearm of the two who touch. Touches shorter than `min_seconds` are none, and pauses shorter than that belong
to the touch. Self-contacts are of a hand with the own head, either shoulder, the other arm's elbow, and the
other hand: a hand cannot reach the elbow that carries it. Cross-contacts are of any hand with any part of the
partner; one of two hands is listed once, as the first actor's.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.annotate.actions import hysteresis, join_short
from pipeline.config import Body, Contacts
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.people import READ_BY, load_people
from pipeline.formats.takes import actor_names
from pipeline.motion import rotations
from pipeline.motion.joint_map import missing_joints
from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics, require
from pipeline.motion.stretches import stretches

log = logging.getLogger("interact")
NEEDED_JOINTS = ["Head", *(f"{side}{part}" for side in SIDES for part in ("Arm", "ForeArm", "Hand"))]
FOREARM = 0.44
"""Length of a forearm as a share of the arm from shoulder to wrist.

0.146 and 0.186 of stature for forearm and upper arm (Winter 2009, figure 4.1): skeletons place elbows and
wrists differently, and the whole arm says more of a body's size than one bone.
"""
TYPES = ("hand-head", "hand-shoulder", "hand-elbow", "hand-hand")
RADII = {"Head": 0.35, "Shoulder": 0.22, "Elbow": 0.17, "Hand": 0.10}
"""Radius of each part in forearms, of an adult with a forearm of 25 cm.

Half the mean of a head's breadth and length (15.5 and 19.5 cm), half a deltoid's depth (11 cm), half an
elbow's breadth with its flesh (8.5 cm), and between a palm's half breadth and half thickness (4.2 and 1.4
cm).
"""
HEAD_AXIS = 0.40
"""Length of the head's axis above its joint, in forearms.

With the radius, the crown is 0.75 forearms (19 cm) above the joint.
"""
HAND_LENGTH = 0.74
"""Length of a hand whose skeleton has no fingers, in forearms.

Hand 0.108 and forearm 0.146 of stature (Winter 2009, figure 4.1).
"""
ARM_SHARE = 0.25
"""The shoulder ends at this share of the upper arm; an elbow reaches as far as 0.15 of both bones."""
ELBOW_SHARE = 0.15


@dataclass(frozen=True)
class Part:
    """Capsules of one radius about a chain of points (T, P, 3), all in cm."""

    points: np.ndarray
    radius: float


@dataclass(frozen=True)
class Parts:
    """An actor's parts by name, such as LeftHand, RightElbow or Head, and the length of the forearm in cm."""

    parts: dict[str, Part]
    forearm: float


def segment_distance(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Distance (...,) between the segments a-b and c-d, points (..., 3)."""
    u, v, w = b - a, d - c, a - c
    uu, uv, vv, uw, vw = (np.sum(x * y, -1) for x, y in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    tiny = 1e-12
    across = uu * vv - uv**2
    s = np.where(
        across > tiny * uu * vv, (uv * vw - vv * uw) / np.where(across > tiny * uu * vv, across, 1), 0
    ).clip(0, 1)
    t = ((uv * s + vw) / np.where(vv > tiny, vv, 1)).clip(0, 1)
    # the point of the second segment is right for this s, or at an end; then the first's follows
    s = np.where(uu > tiny, (uv * t - uw) / np.where(uu > tiny, uu, 1), 0).clip(0, 1)
    return np.linalg.norm(w + s[..., None] * u - t[..., None] * v, axis=-1)


def gap(one: Part, other: Part) -> np.ndarray:
    """Distance (T,) between the surfaces of two parts in cm, negative where they overlap."""
    apart = [
        segment_distance(one.points[:, i], one.points[:, i + 1], other.points[:, j], other.points[:, j + 1])
        for i in range(one.points.shape[1] - 1)
        for j in range(other.points.shape[1] - 1)
    ]
    return np.min(apart, axis=0) - one.radius - other.radius


def body_of(motion: Motion) -> Parts:
    """The parts of a body; InputError names joints that it lacks and frames with NaN."""
    head, *index = require(motion, NEEDED_JOINTS)
    world, turned = forward_kinematics(motion)
    if not np.isfinite(world).all():
        bad = ~np.isfinite(world).all((1, 2))
        raise InputError(
            f"skeleton: {bad.sum()} frames with NaN, the first is {int(np.argmax(bad))}; need none, mend the"
            " file"
        )
    forearm = FOREARM * float(np.linalg.norm(motion.offsets_cm[index], axis=1)[[1, 2, 4, 5]].sum()) / 2
    if not forearm > 0:
        raise InputError("skeleton: its arms have no length; check the offsets of elbows and hands")
    up = motion.offsets_cm[head] / max(np.linalg.norm(motion.offsets_cm[head]), 1e-9)
    crown = world[:, head] + HEAD_AXIS * forearm * rotations.rotate(turned[:, head], up)
    parts = {"Head": Part(np.stack([world[:, head], crown], 1), RADII["Head"] * forearm)}
    found = motion.aliases()
    for k, side in enumerate(SIDES):
        arm, elbow, hand = (world[:, j] for j in index[3 * k : 3 * k + 3])
        joints = [found[name] for i in (1, 2, 3) if (name := f"{side}HandMiddle{i}") in found]
        if joints:
            tips = [world[:, j] for j in joints]
        else:
            # a hand without fingers is straight: it points where the forearm did in the rest pose, turned by
            # the wrist
            bone = motion.offsets_cm[index[3 * k + 2]]
            ahead = bone / max(np.linalg.norm(bone), 1e-9)
            tips = [hand + HAND_LENGTH * forearm * rotations.rotate(turned[:, index[3 * k + 2]], ahead)]
        chains = {
            "Shoulder": [arm, arm + ARM_SHARE * (elbow - arm)],
            "Elbow": [elbow + ELBOW_SHARE * (arm - elbow), elbow, elbow + ELBOW_SHARE * (hand - elbow)],
            "Hand": [hand, *tips],
        }
        parts |= {
            f"{side}{name}": Part(np.stack(points, 1), RADII[name] * forearm)
            for name, points in chains.items()
        }
    return Parts(parts, forearm)


def pairs(own: bool) -> Iterator[tuple[str, str, str]]:
    """Type, hand and part of all pairs of an actor's hands with the own parts, or with the partner's."""
    for k, side in enumerate(SIDES):
        yield "hand-head", f"{side}Hand", "Head"
        for other in SIDES:
            yield "hand-shoulder", f"{side}Hand", f"{other}Shoulder"
            if not own or other != side:
                yield "hand-elbow", f"{side}Hand", f"{other}Elbow"
            if not own or k < SIDES.index(other):
                yield "hand-hand", f"{side}Hand", f"{other}Hand"


def touches(distance: np.ndarray, fps: float, forearm: float, options: Contacts) -> np.ndarray:
    """Intervals (K, 2) of touch, first frame and frame after the last, by `distance` (T,) in cm."""
    touch = hysteresis(distance < options.gap * forearm, distance < options.release_gap * forearm)
    return stretches(join_short(touch.astype(np.uint8), round(options.min_seconds * fps)) > 0)


def find_contacts(motions: list[Motion], options: Contacts | None = None) -> list[dict]:
    """Contacts of two actors, 0 and 1: type, actor, of, hand, part, start and stop (frames).

    By actor, own before partner's, and time.

    Both motions stand in one room and on one clock; one alone has its own contacts. Raises InputError where
    they differ in frames or rate, lack a joint of head or arms, or have frames with NaN.
    """
    options = options or Contacts()
    first, second = motions[0], motions[-1]
    if first.num_frames != second.num_frames or abs(first.fps - second.fps) > 1e-3:
        raise InputError(
            f"contacts: got {first.num_frames} frames at {first.fps:g} fps and {second.num_frames} at"
            f" {second.fps:g}, need two bodies of one take, equally long; cut both to the same window"
        )
    bodies = [body_of(motion) for motion in motions]
    result = []
    for actor in range(len(motions)):
        for of in (actor, 1 - actor)[: len(motions)]:
            forearm = (bodies[actor].forearm + bodies[of].forearm) / 2
            for kind, hand, part in pairs(actor == of):
                if kind == "hand-hand" and actor > of:
                    continue
                distance = gap(bodies[actor].parts[hand], bodies[of].parts[part])
                for start, stop in touches(distance, first.fps, forearm, options):
                    result.append(
                        {
                            "type": kind,
                            "actor": actor,
                            "of": of,
                            "hand": hand,
                            "part": part,
                            "start": int(start),
                            "stop": int(stop),
                        }
                    )
    return sorted(
        result,
        key=lambda c: (
            c["actor"],
            c["actor"] != c["of"],
            TYPES.index(c["type"]),
            c["start"],
            c["hand"],
            c["part"],
        ),
    )


def lacking_of(actors: list[str], motions: list[Motion]) -> dict[str, list[str]]:
    """Joints that bodies lack for contacts to be looked for, by actor; a warning names each."""
    lacking = {
        actor: missing
        for actor, motion in zip(actors, motions, strict=True)
        if (missing := missing_joints(motion, NEEDED_JOINTS))
    }
    for actor, missing in lacking.items():
        log.warning("actor %s: no contacts are looked for, the body lacks %s", actor, ", ".join(missing))
    return lacking


def about(actors: list[str], motions: list[Motion], options: Contacts) -> dict:
    """What the JSON says of one or two bodies: their contacts, by names of actors.

    None where `lacking` names one that lacks head or arms.
    """
    lacking = lacking_of(actors, motions)
    found = [] if lacking else find_contacts(motions, options)
    contacts = [
        contact | {"actor": actors[contact["actor"]], "of": actors[contact["of"]]} for contact in found
    ]
    return {
        "actors": actors,
        "frames": motions[0].num_frames,
        "fps": motions[0].fps,
        "lacking": lacking,
        "contacts": contacts,
    }


def run(*, bvh: list[Path], out: Path, options: Contacts, body: Body | None = None) -> None:
    """Find the contacts of a take, or of one body with itself, and write the JSON.

    `body` says how files are read (pipeline.formats.people).
    """
    if len(bvh) > 2:
        raise InputError(
            f"contacts: got {len(bvh)} bodies, need those of one or two people; correct the command"
        )
    motions, actors = load_people(bvh, body), actor_names(bvh)
    if len(bvh) == 1:
        log.info(
            "%s: one body, whose touches of itself are looked for; touches of a partner need the partner's"
            " file too",
            bvh[0],
        )
    try:
        found = about(actors, motions, options)
    except InputError as error:
        raise InputError(f"{', '.join(map(str, bvh))}: {error}") from None
    write_json(out, found)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Contacts, shared=READ_BY)
    stage.add_files(
        parser, "bvh", nargs="+", help="bodies (.bvh) of two people in one room, or of one, of any skeleton"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
