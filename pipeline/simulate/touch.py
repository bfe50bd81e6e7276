"""Touches: hands on heads, shoulders, elbows and hands, the actor's own and, where two meet, the partner's.

In: both actors' scripts, then their motions. Out: when which hand lies where, and the motions with arms that
reach there. Arms are solved in closed form from shoulder to palm; the palm lies on the surface of a body as
thick as SURFACE_CM says, moves with it, and comes and goes within REACH_S. A touch lasts while the palm is
within NEAR_CM of its place; what an arm cannot reach is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.motion import rotations
from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics
from pipeline.simulate.figure import Figure
from pipeline.simulate.motion import solve_limb
from pipeline.simulate.noise import bump
from pipeline.simulate.script import Script

REACH_S = 0.55
HOLD_S = (0.6, 2.2)
PAUSE_S = (3.0, 7.0)
KINDS = ("Head", "Shoulder", "Elbow", "Hand")
PALM_CM = 1.4  # half a palm's thickness
SURFACE_CM = {"Head": 7.75, "Shoulder": 5.5, "Elbow": 4.25, "Hand": PALM_CM}
"""From the joint to the skin of an adult.

Half a head's breadth, a deltoid's depth and an elbow's breadth with its flesh, a palm's half.
"""
ELBOW_WAY = {
    "Head": (0.8, -0.6, 0.2),
    "Shoulder": (0.5, -0.8, 0.3),
    "Elbow": (0.9, -0.4, 0.0),
    "Hand": (0.8, -0.5, -0.3),
}
"""Where the elbow of a reaching arm goes, in the chest's axes; x away from the body."""
LEANS = {"Head": 0.30, "Shoulder": 0.26, "Elbow": 0.36, "Hand": 0.08}
"""How far the trunk leans towards the partner, radians; who is touched leans only to shake hands."""
FORWARD = 0.7
"""How far an arm comes forward whose elbow the other hand takes, radians.

Else that hand would pass through the trunk.
"""
WRIST_SHARE = 0.9  # how straight the wrist is while the hand lies still: never without any movement
NEAR_CM = 1.0
MISS_CM = 0.5  # what is further away is out of reach


@dataclass(frozen=True)
class Touch:
    """An actor's hand lies on a part of actor `of` from start to stop, seconds of day.

    The hand is such as LeftHand, the part such as RightElbow or Head.
    """

    actor: int
    of: int
    hand: str
    part: str
    start: float
    stop: float

    @property
    def kind(self) -> str:
        """Head, Shoulder, Elbow or Hand."""
        return self.part.removeprefix("Left").removeprefix("Right")

    @property
    def hands(self) -> list[tuple[int, str]]:
        """Actor and side of the arms that reach: two where hands meet."""
        own = (self.actor, self.hand.removesuffix("Hand"))
        return [own, (self.of, self.part.removesuffix("Hand"))] if self.kind == "Hand" else [own]


def plan_touches(scripts: list[Script], start: float, stop: float, rng: np.random.Generator) -> list[Touch]:
    """Draw when both actors touch themselves, and one touch of each meeting.

    They touch themselves while they neither walk nor sit down nor get up.
    """
    touches = []
    for k, script in enumerate(scripts):
        busy = [(a, b) for a, b, _ in (*script.walks, *script.postures)] + script.meetings
        deck = list(rng.permutation(KINDS))
        time = start + REACH_S + rng.uniform(0.3, 3.0)
        while (end := time + rng.uniform(*HOLD_S)) + REACH_S < stop:
            if any(a < end + REACH_S and time - REACH_S < b for a, b in busy):
                time += 0.25
                continue
            side, other = rng.permutation(SIDES)
            kind = deck.pop(0)
            deck.append(kind)
            hand, part = (
                ("LeftHand", "RightHand")
                if kind == "Hand"
                else (f"{side}Hand", "Head" if kind == "Head" else f"{other}{kind}")
            )
            touches.append(Touch(k, k, hand, part, time, end))
            time = end + 2 * REACH_S + rng.uniform(*PAUSE_S)
    for begin, end in scripts[0].meetings:
        kind, k = rng.choice(KINDS), int(rng.integers(2))
        if kind == "Hand":
            touches.append(Touch(0, 1, "RightHand", "RightHand", begin + REACH_S, end - REACH_S))
        else:  # the right hand is opposite the partner's left side
            touches.append(
                Touch(
                    k,
                    1 - k,
                    "RightHand",
                    "Head" if kind == "Head" else f"Left{kind}",
                    begin + REACH_S,
                    end - REACH_S,
                )
            )
    return [touch for touch in touches if start < touch.start and touch.stop < stop]


def _size(figure: Figure) -> float:
    """How large a figure is against the skeleton of figure.py."""
    return figure.offsets_cm[figure.index["Neck"], 1] / 12.5


class _Room:
    """Both actors' motions, being changed, on one clock."""

    def __init__(self, motions: Sequence[Motion], figures: Sequence[Figure], starts: Sequence[float]):
        self.figures, self.starts = figures, starts
        self.motions = [replace(motion, rotations=motion.rotations.copy()) for motion in motions]

    def frames(self, k: int, touch: Touch) -> slice:
        """Frames of actor k from where a hand leaves for a touch to where it is back."""
        fps, size = self.motions[k].fps, self.motions[k].num_frames
        first, last = (
            (time - self.starts[k]) * fps for time in (touch.start - REACH_S, touch.stop + REACH_S)
        )
        return slice(int(np.clip(np.ceil(first), 0, size)), int(np.clip(np.floor(last) + 1, 0, size)))

    def times(self, k: int, frames: slice) -> np.ndarray:
        """Seconds of day of frames of actor k."""
        return self.starts[k] + np.arange(frames.start, frames.stop) / self.motions[k].fps

    def pose(self, k: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World positions (N, J, 3) and rotations (N, J, 4) of actor k at the frames next to `times`.

        They are held at the ends.
        """
        motion = self.motions[k]
        index = np.clip(np.round((times - self.starts[k]) * motion.fps).astype(int), 0, motion.num_frames - 1)
        return forward_kinematics(
            replace(motion, positions_cm=motion.positions_cm[index], rotations=motion.rotations[index])
        )

    def turn(self, k: int, name: str, frames: slice, target: np.ndarray, weight: np.ndarray) -> None:
        """Bring a joint's local rotations by `weight` (N,) towards `target` (N, 4)."""
        part = self.motions[k].rotations[frames, self.figures[k].index[name]]
        part[:] = blend(part, target, weight)


def blend(start: np.ndarray, stop: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rotations (N, 4) that lie by `weight` (N,) on the way from start to stop.

    The way is the same way round in all frames.
    """
    way = rotations.continuous(rotations.multiply(rotations.inverse(start), stop))
    way = way if way[np.argmax(weight), 3] >= 0 else -way
    sine = np.linalg.norm(way[:, :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, way[:, 3:]) * weight[:, None]
    axis = way[:, :3] / np.maximum(sine, 1e-12)
    return rotations.multiply(start, np.concatenate([np.sin(angle / 2) * axis, np.cos(angle / 2)], -1))


def _place(room: _Room, touch: Touch, k: int, side: str, times: np.ndarray) -> np.ndarray:
    """Where the palm of actor k's hand has to be (N, 3)."""
    figure, s = room.figures[touch.of], 1.0 if side == "Left" else -1.0
    index, size = figure.index, _size(figure)
    away = (SURFACE_CM[touch.kind] + PALM_CM) * size
    points, turned = room.pose(touch.of, times)
    chest = turned[:, index["Spine3"]]
    if touch.kind == "Head":
        near = s if touch.of == k else -s
        return points[:, index["Head"]] + rotations.rotate(
            turned[:, index["Head"]], np.array([near * away, 8.0 * size, 3.0 * size])
        )
    if touch.kind == "Shoulder":
        up = np.array([0.2 if touch.part.startswith("Left") else -0.2, 0.75, 0.6])
        return points[:, index[touch.part.replace("Shoulder", "Arm")]] + rotations.rotate(
            chest, away * up / np.linalg.norm(up)
        )
    if touch.kind == "Elbow":
        return points[:, index[touch.part.replace("Elbow", "ForeArm")]] + rotations.rotate(
            chest, np.array([0.0, 0.0, away])
        )
    if touch.of == touch.actor:
        return points[:, index["Spine2"]] + rotations.rotate(
            chest, np.array([s * PALM_CM, -6.0, 30.0]) * size
        )
    shoulders = [room.pose(i, times)[0][:, room.figures[i].index["RightArm"]] for i in range(2)]
    own = rotations.rotate(
        room.pose(k, times)[1][:, room.figures[k].index["Hips"]], np.array([-1.0, 0.0, 0.0])
    )
    return np.mean(shoulders, 0) - [0.0, 30.0 * size, 0.0] + PALM_CM * own


def _reach(room: _Room, touch: Touch, k: int, side: str) -> tuple[float, float] | None:
    """Bring an arm to its place.

    From when to when the palm is there, or None, and nothing changed, where it does not reach.
    """
    figure, frames, s = room.figures[k], room.frames(k, touch), 1.0 if side == "Left" else -1.0
    times = room.times(k, frames)
    weight = bump(times, touch.start - REACH_S, touch.start, touch.stop, touch.stop + REACH_S)
    palm = _place(room, touch, k, side, times)
    points, turned = room.pose(k, times)
    shoulder = points[:, figure.index[f"{side}Arm"]]
    upper = np.linalg.norm(figure.offsets_cm[figure.index[f"{side}ForeArm"]])
    half_hand = figure.offsets_cm[figure.index[f"{side}HandMiddle1"]] / 2
    lower = np.linalg.norm(figure.offsets_cm[figure.index[f"{side}Hand"]]) + np.linalg.norm(half_hand)
    if (np.linalg.norm(palm - shoulder, axis=1) - (upper + lower))[weight == 1].max(
        initial=-np.inf
    ) > MISS_CM or not (weight == 1).any():
        return None
    out, up, ahead = ELBOW_WAY[touch.kind]
    elbow = rotations.rotate(turned[:, figure.index["Spine3"]], np.array([s * out, up, ahead]))
    half_turn = np.array([0.0, 1.0, 0.0, 0.0])  # elbows bend the other way than knees
    arm, forearm = (
        rotations.multiply(bone, half_turn)
        for bone in solve_limb(shoulder, palm, elbow, float(upper), float(lower))
    )
    room.turn(
        k,
        f"{side}Arm",
        frames,
        rotations.multiply(rotations.inverse(turned[:, figure.index[f"{side}Shoulder"]]), arm),
        weight,
    )
    room.turn(k, f"{side}ForeArm", frames, rotations.multiply(rotations.inverse(arm), forearm), weight)
    straight = np.broadcast_to([0.0, 0.0, 0.0, 1.0], arm.shape)
    room.turn(k, f"{side}Hand", frames, straight, WRIST_SHARE * weight)
    points, turned = room.pose(k, times)
    hand = figure.index[f"{side}Hand"]
    found = points[:, hand] + rotations.rotate(turned[:, hand], half_hand)
    there = times[np.linalg.norm(found - palm, axis=1) < NEAR_CM]
    return float(there[0]), float(there[-1])


def _offer(room: _Room, touch: Touch) -> None:
    """Bring the arm forward whose elbow the other hand takes."""
    k, frames = touch.actor, room.frames(touch.actor, touch)
    forward = FORWARD * bump(
        room.times(k, frames), touch.start - REACH_S, touch.start, touch.stop, touch.stop + REACH_S
    )
    part = room.motions[k].rotations[frames, room.figures[k].index[touch.part.replace("Elbow", "Arm")]]
    part[:] = rotations.multiply(rotations.about("x", -forward), part)


def _lean(room: _Room, touch: Touch, k: int) -> None:
    """Bend actor k's trunk forward during a touch of the partner."""
    frames = room.frames(k, touch)
    times = room.times(k, frames)
    lean = LEANS[touch.kind] * bump(
        times, touch.start - REACH_S, touch.start, touch.stop, touch.stop + REACH_S
    )
    for name in ("Spine", "Spine1", "Spine2", "Spine3"):
        part = room.motions[k].rotations[frames, room.figures[k].index[name]]
        part[:] = rotations.multiply(part, rotations.about("x", lean / 4))


def reach(
    motions: Sequence[Motion], figures: Sequence[Figure], starts: Sequence[float], touches: Sequence[Touch]
) -> tuple[list[Motion], list[Touch]]:
    """Both motions with all touches that are in reach, and those touches, by start.

    Starts: seconds of day of each motion's first frame.
    """
    room, done = _Room(motions, figures, starts), []
    for touch in sorted(touches, key=lambda touch: touch.start):
        before = [motion.rotations.copy() for motion in room.motions]
        if touch.of != touch.actor:
            for k in {touch.actor, touch.of} if touch.kind == "Hand" else {touch.actor}:
                _lean(room, touch, k)
        elif touch.kind == "Elbow":
            _offer(room, touch)
        spans = [span for k, side in touch.hands if (span := _reach(room, touch, k, side))]
        if len(spans) == len(touch.hands):
            done.append(
                replace(touch, start=max(start for start, _ in spans), stop=min(stop for _, stop in spans))
            )
        else:
            room.motions = [
                replace(motion, rotations=old) for motion, old in zip(room.motions, before, strict=True)
            ]
    return room.motions, done
