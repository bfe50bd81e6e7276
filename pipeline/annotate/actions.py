"""Actions: whether an actor sits, walks or stands, frame by frame.

In: a BVH of any humanoid whose hips, knees, ankles and toes have usual names, at any frame rate. Out: a .npy
of uint8, one label a frame: 0 sit, 1 walk, 2 stand.

The rule, with lengths in the actor's own legs (thigh plus shin). A person sits when the hips are low above
the lower foot, knees and hips are bent, sinking down has come to rest, and at some time of that stretch
something else than the feet carried the body: its centre of mass lay beside the feet (who crouches keeps it
above them). Hips as low as the feet sit on the floor. A person walks when, not sitting, the hips travel over
the ground and the feet take steps: one moves while the other rests, which a jump or a sway does not do, the
hips go along, and the foot lands about as high as it stood, or both feet rise in turn as on stairs, which a
climber's do not. A walk lasts from the first foot's lift until the body is over the last one planted. Who
does neither stands: sitting down, getting up, shifting, climbing and turning on the spot are standing.
Borders have hysteresis, and stretches that are too short join their longer neighbour. All thresholds are in
the config, with their reasons.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.config import Actions, Body
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.people import READ_BY, load_people
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics, require
from pipeline.motion.stretches import stretches

log = logging.getLogger("interact")
SIT, WALK, STAND = 0, 1, 2
NAMES = ("sit", "walk", "stand")
MASSES = {"upper": 0.678, "thighs": 0.200, "shins": 0.093, "feet": 0.029}
"""Shares of the body's mass: head, arms and trunk; both thighs, shins and feet (Winter 2009, table 4.1)."""
UPPER_CENTRE = 0.626
"""Centre of mass of head, arms and trunk, as a share of the way from hips to shoulders.

Winter 2009, table 4.1.
"""
LEG_CENTRES = 0.433
"""Centre of mass of thighs and shins as a share of their length from above (Winter 2009, table 4.1)."""
NUM_DIRECTIONS = 36
"""Directions in which the distance of the centre of mass from the feet is measured."""


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Running mean of values (T, ...) over `width` frames; at the ends over the frames that there are."""
    num_frames = len(values)
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    first = np.maximum(np.arange(num_frames) - (width - 1) // 2, 0)
    last = np.minimum(np.arange(num_frames) + width // 2 + 1, num_frames)
    return (sums[last] - sums[first]) / (last - first).reshape(-1, *[1] * (values.ndim - 1))


def ground_speed(positions: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """Speed over the ground (T,) of positions (T, 3), y up, between both ends of a window of `seconds`."""
    num_frames, half = len(positions), max(1, round(seconds * fps / 2))
    first = np.maximum(np.arange(num_frames) - half, 0)
    last = np.minimum(np.arange(num_frames) + half, num_frames - 1)
    way = np.linalg.norm((positions[last] - positions[first])[:, [0, 2]], axis=1)
    return way * fps / np.maximum(last - first, 1)


def hysteresis(on: np.ndarray, stay: np.ndarray) -> np.ndarray:
    """Bool (T,): True from a frame of `on` to both ends of the stretch of `stay` that it lies in."""
    stay = stay | on
    result = np.zeros(len(on), bool)
    for start, stop in stretches(stay):
        result[start:stop] = on[start:stop].any()
    return result


def settled(low: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Bool (T,): the stretches of `low`, each from its first `still` frame to its last.

    One with none is left out.
    """
    result = np.zeros(len(low), bool)
    for start, stop in stretches(low):
        rest = start + np.flatnonzero(still[start:stop])
        if len(rest):
            result[rest[0] : rest[-1] + 1] = True
    return result


def near(mask: np.ndarray, width: int) -> np.ndarray:
    """Bool (T,): whether any frame within `width` frames is True."""
    counts = np.concatenate([[0], np.cumsum(mask)])
    at = np.arange(len(mask))
    return counts[np.minimum(at + width + 1, len(mask))] > counts[np.maximum(at - width, 0)]


def join_short(labels: np.ndarray, min_frames: int) -> np.ndarray:
    """Labels (T,) in which stretches under `min_frames` take the label of their longer neighbour.

    The shortest stretch comes first.
    """
    labels = labels.copy()
    while True:
        edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
        lengths = np.diff(edges)
        if len(lengths) < 2 or lengths.min() >= min_frames:
            return labels
        i = int(np.argmin(lengths))
        left, right = lengths[i - 1] if i else -1, lengths[i + 1] if i + 1 < len(lengths) else -1
        labels[edges[i] : edges[i + 1]] = labels[edges[i] - 1] if left >= right else labels[edges[i + 1]]


@dataclass(frozen=True)
class Posture:
    """What the rule looks at, lengths in legs.

    hips (T, 3), feet (T, 2, 2, 3) as side and ankle or toe, height (T,) of the hips above the lower foot,
    knee and hip bend (T,) in degrees, beside (T,): how far the centre of mass is from above the feet, heading
    (T,) of the hips in radians, continuous.
    """

    hips: np.ndarray
    feet: np.ndarray
    height: np.ndarray
    knee_deg: np.ndarray
    hip_deg: np.ndarray
    beside: np.ndarray
    heading: np.ndarray


def angle_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angle (...,) in degrees between vectors (..., 3)."""
    length = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.degrees(np.arccos(np.clip(np.sum(one * other, -1) / np.maximum(length, 1e-9), -1, 1)))


def beside(point: np.ndarray, carriers: np.ndarray) -> np.ndarray:
    """Distance (T,) over the ground of points (T, 3) from the hull of carriers (T, K, 3); 0 above it."""
    turns = np.arange(NUM_DIRECTIONS) * 2 * np.pi / NUM_DIRECTIONS
    ways = np.stack([np.cos(turns), np.sin(turns)])
    # the hull ends, in each direction, at the carrier that is furthest that way
    away = point[:, [0, 2]] @ ways - (carriers[..., [0, 2]] @ ways).max(1)
    return away.max(1).clip(0)


def posture(motion: Motion) -> Posture:
    """Measure a body; InputError names missing joints, frames with NaN, or legs without length."""
    chain = [f"{side}{part}" for side in ("Left", "Right") for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
    index = require(motion, ["Hips", *chain])
    world, _ = forward_kinematics(motion)
    if not np.isfinite(world).all():
        bad = ~np.isfinite(world).all((1, 2))
        raise InputError(
            f"skeleton: {bad.sum()} frames with NaN, the first is {int(np.argmax(bad))}; need none, mend the"
            " file"
        )
    legs = world[:, index[1:]].reshape(len(world), 2, 4, 3)
    leg = float(np.linalg.norm(np.diff(legs[:, :, :3], axis=2), axis=-1).sum(2).mean())
    if not leg > 0:
        raise InputError("skeleton: its legs have no length; check the offsets of knees and ankles")
    legs = legs / leg
    hips, (tops, knees, ankles, toes) = world[:, index[0]] / leg, np.moveaxis(legs, 2, 0)
    found = motion.aliases()
    # a skeleton without arms and neck is taken to hold its trunk upright
    high = [found[name] for name in ("LeftArm", "RightArm") if name in found] or [
        found[name] for name in ("Neck",) if name in found
    ]
    middle = tops.mean(1)
    shoulders = world[:, high].mean(1) / leg if high else middle + [0, 1, 0]
    centre = MASSES["upper"] * (middle + UPPER_CENTRE * (shoulders - middle))
    centre += MASSES["thighs"] * (tops + LEG_CENTRES * (knees - tops)).mean(1)
    centre += (
        MASSES["shins"] * (knees + LEG_CENTRES * (ankles - knees)).mean(1)
        + MASSES["feet"] * (ankles + toes).mean(1) / 2
    )
    feet, across = legs[:, :, 2:], tops[:, 0] - tops[:, 1]
    return Posture(
        hips,
        feet,
        hips[:, 1] - feet[..., 1].min((1, 2)),
        angle_deg(knees - tops, ankles - knees).mean(1),
        angle_deg(shoulders[:, None] - middle[:, None], tops - knees).mean(1),
        beside(centre, feet.reshape(len(feet), 4, 3)),
        np.unwrap(np.arctan2(-across[:, 2], across[:, 0])),
    )


def sitting(body: Posture, fps: float, options: Actions) -> np.ndarray:
    """Bool (T,): low, bent, at rest, and in each such stretch carried by a seat at some time."""
    width = max(1, round(options.posture_seconds * fps))
    height, aside = smooth(body.height, width), smooth(body.beside, width)
    bent = (smooth(body.knee_deg, width) > options.sit_knee_deg) & (
        smooth(body.hip_deg, width) > options.sit_hip_deg
    )
    floor = height < options.sit_floor_height
    low = hysteresis(
        floor | bent & (height < options.sit_hip_height - options.sit_margin),
        floor | bent & (height < options.sit_hip_height + options.sit_margin),
    )
    still = np.abs(np.gradient(height) * fps) < options.sit_settled_speed if len(height) > 1 else low
    rests = settled(low, still)
    return hysteresis(rests & still & (floor | (aside > options.sit_off_balance)), rests)


@dataclass(frozen=True)
class Step:
    """A swing of one foot beside the other at rest, frames start to before stop.

    Way and rise are the foot's, and `hips` is the way of the hips, in legs.
    """

    side: int
    start: int
    stop: int
    way: float
    rise: float
    hips_way: float


def swings(body: Posture, hips: np.ndarray, steady: np.ndarray, fps: float, options: Actions) -> list[Step]:
    """Swings of both feet, by time: the foot overtakes the hips (T, 3) while the other rests.

    `steady` (T,) is the speed of the hips.
    """
    middles = body.feet.mean(2)
    speeds = [ground_speed(middles[:, side], fps, options.foot_seconds) for side in (0, 1)]
    found = []
    for side in (0, 1):
        clear = (speeds[1 - side] < options.step_rest * steady) & (speeds[side] > options.step_swing * steady)
        for start, stop in stretches(clear):
            if stop - start < options.swing_seconds * fps:
                clear[start:stop] = False  # both feet land, one a little later
        # a foot that is lifted or set down does not overtake the hips yet, or any more
        for start, stop in stretches(
            hysteresis(clear, (speeds[side] > options.foot_speed) & (speeds[side] > speeds[1 - side]))
        ):
            last = min(stop, len(hips) - 1)
            foot, own = middles[last, side] - middles[start, side], hips[last] - hips[start]
            way, hips_way = (float(np.hypot(*way[[0, 2]])) for way in (foot, own))
            found.append(Step(side, int(start), int(stop), way, float(foot[1]), hips_way))
    return sorted(found, key=lambda step: step.start)


def steps_over_ground(found: list[Step], fps: float, options: Actions) -> list[Step]:
    """The swings that go somewhere and do not climb, but for stairs, where both feet rise or fall in turn."""
    going = [
        step
        for step in found
        if step.way >= options.step_way and abs(step.rise) <= options.stairs_slope * step.way
    ]
    steep = [abs(step.rise) > options.step_slope * step.way for step in going]

    def stairs(i: int, j: int) -> bool:
        one, other = going[i], going[j]
        near = abs(one.start - other.start) <= 2 * options.step_seconds * fps
        return near and steep[j] and one.side != other.side and one.rise * other.rise > 0

    return [
        step
        for i, step in enumerate(going)
        if not steep[i] or any(stairs(i, j) for j in (i - 1, i + 1) if 0 <= j < len(going))
    ]


def walking(body: Posture, fps: float, options: Actions) -> np.ndarray:
    """Bool (T,): the hips travel, at least as far as a step, and the feet step.

    From the first foot's lift until the body is over the last.
    """
    hips = smooth(body.hips, max(1, round(options.posture_seconds * fps)))
    steady = ground_speed(hips, fps, options.walk_seconds)
    quick = ground_speed(hips, fps, options.posture_seconds) > options.walk_edge_speed
    travels = steady > options.walk_speed
    # the long window of the steady speed reaches beyond a walk's ends, which the short one finds; inside, the
    # short one may dip
    half = round(options.walk_seconds * fps / 2)
    inside = ~near(np.pad(~travels, half, constant_values=True), half)[half : half + len(travels)]
    travels = hysteresis(travels & quick, quick) | inside
    steps = steps_over_ground(swings(body, hips, steady, fps, options), fps, options)
    carrying = [
        one for one in steps if one.hips_way >= options.step_share * one.way
    ]  # in a walk the hips go along with the feet
    step = np.zeros(len(hips), bool)
    for one in carrying:
        step[one.start : one.stop] = True
    walks = travels & near(step, round(options.step_seconds * fps))
    lead = round(options.step_lead_seconds * fps)
    for start, stop in stretches(walks):
        own = [one for one in steps if one.start < stop and start < one.stop]
        if not any(one.way >= options.walk_step for one in own):
            walks[start:stop] = False
            continue
        if start:  # who walks when the recording begins has begun before it
            first = next((one.start for one in own if one in carrying), own[0].start)
            walks[start:first] = False
            walks[max(first, start - lead) : start] = True
        walks[_arrival(body, own[-1], stop, options) : stop] = False
    paths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(hips[:, [0, 2]], axis=0), axis=1))])
    for start, stop in stretches(walks):
        way, turn = paths[stop - 1] - paths[start], np.abs(body.heading[stop - 1] - body.heading[start])
        if way < max(options.walk_way, options.walk_radius * turn):
            walks[start:stop] = False
    return walks


def _arrival(body: Posture, step: Step, stop: int, options: Actions) -> int:
    """The frame, up to `stop`, from which on the hips are over the foot that a step has planted."""
    away = (body.hips[step.stop : stop] - body.feet[step.stop : stop, step.side].mean(1))[:, [0, 2]]
    there = np.flatnonzero(np.linalg.norm(away, axis=1) < options.walk_arrival)
    return step.stop + int(there[0]) if len(there) else stop


def label_actions(motion: Motion, options: Actions | None = None) -> np.ndarray:
    """Label of each frame, uint8 (T,): 0 sit, 1 walk, 2 stand.

    Works on any humanoid whose hips, knees, ankles and toes `motion.aliases()` resolves, at any frame rate,
    in any place. The ground is that under the lower foot, so stairs and uneven floors do not matter. Raises
    InputError that names missing joints, or frames with NaN.
    """
    options = options or Actions()
    body, fps = posture(motion), motion.fps
    sits, walks = sitting(body, fps, options), walking(body, fps, options)
    labels = np.where(sits, SIT, np.where(walks, WALK, STAND)).astype(np.uint8)
    return join_short(labels, round(options.min_seconds * fps))


def run(*, bvh: list[Path], out: list[Path], options: Actions, body: Body | None = None) -> None:
    """Label each body and write its .npy; `body` says how files are read (pipeline.formats.people)."""
    if len(bvh) != len(out):
        raise InputError(
            f"actions: {len(bvh)} BVH files and {len(out)} outputs, need as many, in the same order"
        )
    for source, target in zip(bvh, out, strict=True):
        try:
            (motion,) = load_people([source], body)
            labels = label_actions(motion, options)
        except InputError as error:
            raise InputError(f"{source}: {str(error).removeprefix(f'{source}: ')}") from None
        log.info("%s: %s", source.name, shares(labels, motion.fps))
        with whole(target) as temporary, open(temporary, "wb") as f:
            np.save(f, labels)


def shares(labels: np.ndarray, fps: float) -> str:
    """How much of each action labels (T,) hold, in a line."""
    counts = (
        ", ".join(f"{name} {np.mean(labels == k):.1%}" for k, name in enumerate(NAMES))
        if len(labels)
        else "no frames"
    )
    return f"{len(labels)} frames at {fps:g} fps, {counts}"


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Actions, shared=READ_BY)
    stage.add_files(parser, "bvh", nargs="+", help="bodies (.bvh) of any skeleton")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help=".npy files to write, in the same order"
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
