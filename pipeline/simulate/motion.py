"""From scripts to bodies: every joint's rotation at 120 frames per second.

In: an actor's script, skeleton, speech times and the partner's script. Out: pipeline.motion.motion.Motion.
Feet come from pipeline.simulate.steps, hips follow the script as high as the legs allow, legs are solved in
closed form (two bones in a plane), the upper body is a sum of smooth curves.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.simulate.figure import ORDER, Figure
from pipeline.simulate.noise import Drift, bump, drift, ease
from pipeline.simulate.script import Script, direction, wrap
from pipeline.simulate.steps import Feet, evaluate_feet, plan_steps

FPS = 120.0
SIDES = (("Left", 1.0), ("Right", -1.0))
STRETCH = 0.998  # legs are never quite straight
FINGERS = ("Index", "Middle", "Ring", "Pinky")


@dataclass(frozen=True)
class Manner:
    """How an actor moves in a take, drawn once.

    talks: (start, stop, left, right) gestures of each hand in [0, 1] while the actor speaks; beats: (time,
    strength) on stressed syllables; looks: (start, stop) when the actor does not look at the partner; drifts:
    slow wandering by name.
    """

    talks: list[tuple[float, float, float, float]]
    beats: list[tuple[float, float]]
    looks: list[tuple[float, float]]
    drifts: dict[str, Drift]
    breath_hertz: float
    breath_phase: float


def plan_manner(
    talks: list[tuple[float, float]],
    stresses: list[float],
    start: float,
    stop: float,
    rng: np.random.Generator,
) -> Manner:
    """Draw how an actor moves.

    Talks: (start, stop) of the own sentences, stresses: times of stressed syllables.
    """
    hands = []
    for begin, end in talks:
        kind, size = rng.random(), rng.uniform(0.5, 1.0)
        left, right = (
            (size, size * rng.uniform(0.7, 1.0))
            if kind < 0.45
            else (0.0, size)
            if kind < 0.85
            else (size, 0.0)
        )
        hands.append((begin, end, left, right))
    beats = [(time, rng.uniform(0.3, 1.0)) for time in stresses if rng.random() < 0.7]
    looks, time = [], start + rng.uniform(1, 4)
    while time < stop:
        end = time + rng.uniform(0.6, 2.0)
        looks.append((time, end))
        time = end + rng.uniform(1.5, 6)
    names = ["sway_x", "sway_z", "lean", "twist", "nod", "tilt", "yaw"]
    names += [f"{side}{part}" for side, _ in SIDES for part in ("arm", "elbow", "wrist", *FINGERS)]
    drifts = {name: drift(rng, 0.08, 0.5) for name in names}
    return Manner(hands, beats, looks, drifts, rng.uniform(0.22, 0.3), rng.uniform(0, 2 * np.pi))


def _at_most(bound: np.ndarray, target: np.ndarray, frames: int) -> np.ndarray:
    """A smooth curve (N,) that follows `target` where it lies below `bound` and never exceeds `bound`.

    The least of both over a window of 2 frames + 1, then averaged with a bell over as wide a window: each of
    the averaged minima covers the frame itself.
    """
    low = np.minimum(bound, target)
    padded = np.pad(low, 2 * frames, mode="edge")
    least = np.lib.stride_tricks.sliding_window_view(padded, 2 * frames + 1).min(1)
    bell = np.hanning(2 * frames + 3)[1:-1]
    return np.convolve(least, bell / bell.sum(), "valid")


def _smooth(values: np.ndarray, frames: int) -> np.ndarray:
    """Values (N,) averaged with a bell over 2 frames + 1."""
    bell = np.hanning(2 * frames + 3)[1:-1]
    return np.convolve(np.pad(values, frames, mode="edge"), bell / bell.sum(), "valid")


def _turns(*pairs) -> np.ndarray:
    """The product of rotations about axes: _turns(("y", a), ("x", b)) is R_y(a) R_x(b)."""
    result = rotations.about(*pairs[0])
    for pair in pairs[1:]:
        result = rotations.multiply(result, rotations.about(*pair))
    return result


def _ankles(feet: Feet, figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """Ankles (N, 2, 3) and rotations (N, 2, 4) of both feet."""
    toe = figure.offsets_cm[figure.index["LeftToeBase"]]
    rotation = _turns(("y", feet.heading), ("x", feet.heel))
    floor = figure.ankle_cm + toe[1]  # height of the toe joint when the sole is flat
    ball = feet.ball + np.array([0, floor, 0])
    return ball - rotations.rotate(rotation, toe), rotation


def solve_limb(
    hip: np.ndarray, ankle: np.ndarray, ahead: np.ndarray, thigh: float, shin: float
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (N, 4) of thigh and shin that reach from hip (N, 3) to ankle (N, 3).

    The knee points towards `ahead` (N, 3).

    Law of cosines in the plane of hip, ankle and `ahead`; both bones point along -y of their own axes, which
    have the knee ahead of them (+z). An ankle beyond reach is pointed at with a straight leg. Arms are solved
    alike (pipeline.simulate.touch).
    """
    way = ankle - hip
    length = np.linalg.norm(way, axis=-1, keepdims=True)
    along = way / length
    length = np.minimum(length, 0.9999 * (thigh + shin))
    across = ahead - np.sum(ahead * along, -1, keepdims=True) * along
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    cosine = (thigh**2 + length**2 - shin**2) / (2 * thigh * length)
    knee = thigh * (cosine * along + np.sqrt(1 - cosine**2) * across)
    left = np.cross(-along, across)
    result = []
    for bone in (knee, length * along - knee):
        up = -bone / np.linalg.norm(bone, axis=-1, keepdims=True)
        result.append(rotations.from_matrix(np.stack([left, up, np.cross(left, up)], -1)))
    return result[0], result[1]


class _Pose:
    """Local rotations being filled in, by joint name."""

    def __init__(self, figure: Figure, num_frames: int):
        self.figure = figure
        self.local = np.zeros((num_frames, len(figure.names), 4))
        self.local[..., 3] = 1

    def set(self, name: str, *pairs) -> None:
        self.local[:, self.figure.index[name]] = _turns(*pairs)


def _hips(
    script: Script, figure: Figure, manner: Manner, feet: Feet, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) and rotations (N, 4) of the hips.

    Over the feet, on the chair, as high as both legs reach.
    """
    place, heading, seat = script.place_at(times), script.heading_at(times), script.seat_at(times)
    ahead = np.stack([np.sin(heading), np.cos(heading)], -1)
    left = np.stack([np.cos(heading), -np.sin(heading)], -1)
    thigh, shin = figure.thigh_cm, figure.shin_cm
    back = 0.95 * thigh * ease(seat * 1.05)
    still = 1 - np.clip(script.speed_at(times) / 60.0, 0, 1)
    free = _smooth(still * (1 - seat), 24)
    carried = _smooth(
        (feet.ball[:, 1, 1] - feet.ball[:, 0, 1]) / 5.0, 12
    )  # right foot up: the left one carries
    sideways = 1.8 * carried + 1.2 * free * manner.drifts["sway_x"](times)
    forwards = -back + 0.8 * free * manner.drifts["sway_z"](times)
    ground = place + sideways[:, None] * left + forwards[:, None] * ahead
    stride = np.sum((feet.ball[:, 0] - feet.ball[:, 1])[:, [0, 2]] * ahead, -1)
    tilt = 0.32 * _leaning(seat) - 0.10 * seat + 0.02
    rotation = _turns(("y", heading - 0.004 * stride), ("x", tilt), ("z", 0.03 * carried))
    ankles, _ = _ankles(feet, figure)
    bound = np.full(len(times), np.inf)
    for k, (side, _) in enumerate(SIDES):
        hip = rotations.rotate(rotation, figure.offsets_cm[figure.index[side + "UpLeg"]])
        apart = np.linalg.norm(ground + hip[:, [0, 2]] - ankles[:, k, [0, 2]], axis=1)
        reach = np.sqrt(np.maximum((STRETCH * (thigh + shin)) ** 2 - apart**2, 1.0))
        bound = np.minimum(bound, ankles[:, k, 1] + reach - hip[:, 1])
    standing = figure.ankle_cm + 0.993 * (thigh + shin) - figure.offsets_cm[figure.index["LeftUpLeg"], 1]
    seated = 0.56 * (thigh + shin) + figure.ankle_cm * 0.6
    height = _at_most(bound, standing + (seated - standing) * seat, 10)
    return np.stack([ground[:, 0], height, ground[:, 1]], -1), rotation


def _leaning(seat: np.ndarray) -> np.ndarray:
    """How far the trunk leans forward on the way down or up (N,): 1 half-way, 0 at both ends."""
    return np.sin(np.pi * np.clip(seat, 0, 1)) ** 2


def _legs(pose: _Pose, positions: np.ndarray, rotation: np.ndarray, feet: Feet, heading: np.ndarray) -> None:
    """Solve both legs and set their joints."""
    figure = pose.figure
    ankles, soles = _ankles(feet, figure)
    for k, (side, _) in enumerate(SIDES):
        hip = positions + rotations.rotate(rotation, figure.offsets_cm[figure.index[side + "UpLeg"]])
        knee_way = heading + 0.6 * wrap(feet.heading[:, k] - heading)
        ahead = np.stack([np.sin(knee_way), np.zeros_like(knee_way), np.cos(knee_way)], -1)
        thigh, shin = solve_limb(hip, ankles[:, k], ahead, figure.thigh_cm, figure.shin_cm)
        for name, parent, world in (
            ("UpLeg", rotation, thigh),
            ("Leg", thigh, shin),
            ("Foot", shin, soles[:, k]),
        ):
            pose.local[:, figure.index[side + name]] = rotations.multiply(rotations.inverse(parent), world)
        pose.set(side + "ToeBase", ("x", -feet.heel[:, k]))


def _gaze(
    script: Script, partner: Script, manner: Manner, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn of the head towards the partner relative to the body, to the left and down (N,), radians."""
    heading = script.heading_at(times)
    way = partner.place_at(times) - script.place_at(times)
    ahead = np.stack([np.sin(heading), np.cos(heading)], -1)
    way = way + 35.0 * (script.seat_at(times)[:, None] * ahead)  # who sits has the head behind the feet
    angle = wrap(direction(way) - heading)
    wish = 1 - ease((np.abs(angle) - 1.3) / 0.6)
    for start, stop in manner.looks:
        wish = wish * (1 - bump(times, start - 0.25, start + 0.25, stop - 0.25, stop + 0.25))
    lower = 45.0 * (partner.seat_at(times) - script.seat_at(times))
    down = np.arctan2(lower, np.linalg.norm(way, axis=1))
    turn = wish * np.clip(angle, -1.2, 1.2) + 0.07 * manner.drifts["yaw"](times)
    return _smooth(turn, 30), _smooth(wish * down, 30)


def _trunk(
    pose: _Pose, script: Script, partner: Script, manner: Manner, feet: Feet, times: np.ndarray
) -> None:
    """Spine, neck and head: leaning, breathing, looking at the partner."""
    seat, drifts = script.seat_at(times), manner.drifts
    turn, down = _gaze(script, partner, manner, times)
    breath = np.sin(2 * np.pi * manner.breath_hertz * times + manner.breath_phase)
    heading = script.heading_at(times)
    ahead = np.stack([np.sin(heading), np.cos(heading)], -1)
    stride = np.sum((feet.ball[:, 0] - feet.ball[:, 1])[:, [0, 2]] * ahead, -1)
    lean = (
        0.42 * _leaning(seat)
        + 0.10 * seat
        + 0.0006 * _smooth(script.speed_at(times), 20)
        + 0.03 * drifts["lean"](times)
        - 0.02
    )
    twist = 0.25 * turn + 0.005 * stride + 0.04 * drifts["twist"](times)
    for i, name in enumerate(("Spine", "Spine1", "Spine2", "Spine3")):
        own_breath = 0.008 * breath if i >= 2 else 0.0
        pose.set(name, ("y", twist / 4), ("x", lean / 4 - own_breath))
    upright = -0.55 * (lean + 0.32 * _leaning(seat))  # the head stays up when the trunk leans
    nod, tilt = 0.05 * drifts["nod"](times), 0.05 * drifts["tilt"](times)
    for time, strength in manner.beats:
        nod = nod + 0.07 * strength * bump(times, time - 0.15, time, time + 0.02, time + 0.3)
    for name, share in (("Neck", 0.25), ("Neck1", 0.2), ("Head", 0.55)):
        pose.set(name, ("y", 0.75 * turn * share), ("x", (upright + down + nod) * share), ("z", tilt * share))


def _hands_up(manner: Manner, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each hand is raised to gesture (N, 2) and its beats (N,), in [0, 1]."""
    rest, calm = np.ones((len(times), 2)), np.ones(len(times))
    for start, stop, *sizes in manner.talks:
        rest *= (
            1 - np.array(sizes) * bump(times, start - 0.35, start + 0.45, stop - 0.35, stop + 0.65)[:, None]
        )
    for time, strength in manner.beats:
        calm *= 1 - strength * bump(times, time - 0.25, time - 0.02, time + 0.04, time + 0.4)
    return 1 - rest, 1 - calm


def _arms(pose: _Pose, script: Script, manner: Manner, feet: Feet, times: np.ndarray) -> None:
    """Arms: hanging, swinging against the legs, on the thighs when seated, raised while speaking.

    Hands and fingers.
    """
    seat, drifts = script.seat_at(times), manner.drifts
    heading = script.heading_at(times)
    ahead = np.stack([np.sin(heading), np.cos(heading)], -1)
    stride = np.sum((feet.ball[:, 0] - feet.ball[:, 1])[:, [0, 2]] * ahead, -1)
    swing = 0.008 * _smooth(stride, 10)
    moving = _smooth(np.clip(script.speed_at(times) / 100.0, 0, 1), 20)
    raised, beats = _hands_up(manner, times)
    raised = (
        raised * (1 - script.meeting_at(times))[:, None]
    )  # whose hands are raised between the two would hit the other's
    breath = np.sin(2 * np.pi * manner.breath_hertz * times + manner.breath_phase)
    for k, (side, s) in enumerate(SIDES):
        up = raised[:, k] * (1 - 0.4 * moving)
        beat = beats * up
        forward = (
            -s * swing * (1 - up) + 0.18 * seat + 0.30 * _leaning(seat) + 0.03 * drifts[f"{side}arm"](times)
        )
        forward = forward + up * (0.22 - 0.12 * seat) + 0.14 * beat
        aside = 0.11 + 0.05 * seat + 0.10 * up + 0.05 * beat
        inward = 0.12 + 0.15 * seat + 0.35 * up - 0.25 * beat
        elbow = (
            0.22
            + 0.75 * seat
            + up * (1.15 - 0.55 * seat)
            - 0.30 * beat
            + 0.18 * moving
            + 0.06 * drifts[f"{side}elbow"](times)
        )
        pose.set(f"{side}Shoulder", ("z", s * (0.015 * breath + 0.05 * up)))
        pose.set(f"{side}Arm", ("z", s * aside), ("x", -forward), ("y", -s * inward))
        pose.set(f"{side}ForeArm", ("x", -elbow), ("y", -s * (0.25 + 0.7 * seat * (1 - up) - 0.5 * up)))
        pose.set(
            f"{side}Hand",
            ("x", 0.25 * beat - 0.10 * up),
            ("z", -s * (0.06 + 0.08 * drifts[f"{side}wrist"](times))),
        )
        for i, finger in enumerate(FINGERS):
            curl = 0.32 + 0.05 * i - 0.12 * up - 0.10 * seat + 0.10 * drifts[f"{side}{finger}"](times)
            for joint, share in ((1, 0.8), (2, 1.2), (3, 0.7)):
                pose.set(f"{side}Hand{finger}{joint}", ("z", -s * curl * share))
        for joint, share in ((1, 0.3), (2, 0.5), (3, 0.5)):
            pose.set(
                f"{side}HandThumb{joint}",
                ("z", -s * 0.3 * share),
                ("x", 0.2 * share + 0.1 * share * drifts[f"{side}Index"](times)),
            )


def animate(
    figure: Figure, script: Script, partner: Script, manner: Manner, start: float, num_frames: int
) -> Motion:
    """The motion of an actor at 120 fps from `start` seconds on, hips with position channels."""
    times = start + np.arange(num_frames) / FPS
    toe = figure.offsets_cm[figure.index["LeftToeBase"]]
    spread = figure.offsets_cm[figure.index["LeftUpLeg"], 0] * 1.1
    feet = evaluate_feet(*plan_steps(script, start, spread_cm=spread, ball_cm=toe[2] - 3.0), times)
    positions, rotation = _hips(script, figure, manner, feet, times)
    pose = _Pose(figure, num_frames)
    pose.local[:, 0] = rotation
    _legs(pose, positions, rotation, feet, script.heading_at(times))
    _trunk(pose, script, partner, manner, feet, times)
    _arms(pose, script, manner, feet, times)
    local = np.repeat(figure.offsets_cm[None], num_frames, 0)
    local[:, 0] = positions
    orders = [ORDER] * len(figure.names)
    return Motion(
        figure.names, figure.parents, figure.offsets_cm, FPS, local, pose.local, figure.ends_cm, orders
    )
