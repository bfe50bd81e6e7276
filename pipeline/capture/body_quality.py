"""Body quality: what is wrong with a captured motion, joint by joint and frame by frame (docs/body.md).

In: a motion at its own rate. Out: faults with kind, joint, frames and size, how far the feet slide, and what
could not be judged on this skeleton. Angles are degrees, lengths cm, speeds per second; limits are times,
speeds and accelerations, so that they mean the same at any frame rate. Joints that are held and feet that
slide are found here; spikes, swaps and limits in modules of their own (pipeline.capture.body_spikes,
body_swaps, body_limits).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.capture.body_faults import KINDS, WHOLE_BODY, Fault, Inspection
from pipeline.capture.body_limits import beyond_limits
from pipeline.capture.body_spikes import (
    FLICKER_CM,
    JUMP_CM_S,
    JUMP_DEG_S,
    MAX_PUSH_CM_S2,
    MAX_TURN_DEG_S2,
    jumps,
    spikes,
)
from pipeline.capture.body_swaps import swap_steps, swaps_of
from pipeline.motion.fingers import fingers_of
from pipeline.motion.joints import SIDES
from pipeline.motion.limits import Hinge, Twist, bends_of, hinges_of, turns_of, twists_of, world_of
from pipeline.motion.motion import Motion
from pipeline.motion.stretches import runs

BLOCK_FRAMES = 2048
MARGIN_FRAMES = 16
FREEZE_EDGE_DEG = 0.02
"""A movement that comes to rest gets slower first.

A joint that is held stops, or goes on, at a step of at least this.
"""
CONTACT_CM = 2.5
CONTACT_CM_S = 10.0
SWING_CM_S = 100.0
SLIDE_CM = 3.0
"""Way of a foot on the ground, in one go, that is listed as a fault."""


@dataclass
class _Signals:
    """What is kept of each frame: spikes and steps of joints, bends (T, H), finger joints, hands and feet."""

    flicker: np.ndarray  # (T, J) int8, width in frames
    flicker_value: np.ndarray
    flicker_limit: np.ndarray
    jump: np.ndarray  # (T, J) bool
    jump_value: np.ndarray
    step: np.ndarray  # (T, J) float32, degrees or cm from the frame before, whichever is more
    same: np.ndarray  # (T, J) bool, identical to the frame before
    bends: np.ndarray
    twists: np.ndarray
    # (T,) step where two fingers change places, else 0
    swaps: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    ends: np.ndarray = field(default_factory=lambda: np.empty(0))  # (T, E, 3) hands, feet and toes


def _feet_joints(found: dict[str, int]) -> list[int]:
    """Hands, ankles and balls of the feet (L, R each), -1 where the skeleton has none."""
    return [found.get(f"{side}{part}", -1) for part in ("Hand", "Foot", "ToeBase") for side in SIDES]


def _blocks(num_frames: int) -> Iterator[tuple[slice, slice, slice]]:
    """Frames to read, of them those to keep, and where the kept ones go.

    Blocks have a margin, so that spikes are not cut.
    """
    for start in range(0, num_frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, num_frames)
        low, high = max(start - MARGIN_FRAMES, 0), min(stop + MARGIN_FRAMES, num_frames)
        yield slice(low, high), slice(start - low, stop - low), slice(start, stop)


def _signals(
    motion: Motion,
    hinges: list[Hinge],
    twists: list[Twist],
    fingers: dict[str, list[int]],
    flicker_deg: float,
) -> _Signals:
    """What the rules need of every frame, block by block."""
    num, joints, fps = motion.num_frames, len(motion.names), motion.fps
    found = motion.aliases()
    free = sorted(motion.free)
    hands = {f"{side}Hand": found[f"{side}Hand"] for side in SIDES if f"{side}Hand" in found}
    ends = _feet_joints(found)
    grid, kept = (num, joints), np.float32
    result = _Signals(
        flicker=np.zeros(grid, np.int8),
        flicker_value=np.zeros(grid, kept),
        flicker_limit=np.zeros(grid, kept),
        jump=np.zeros(grid, bool),
        jump_value=np.zeros(grid, kept),
        step=np.zeros(grid, kept),
        same=np.zeros(grid, bool),
        bends=np.zeros((num, len(hinges)), kept),
        twists=np.zeros((num, len(twists)), kept),
        ends=np.full((num, len(ends), 3), np.nan, kept),
    )
    for read, keep, to in _blocks(num):
        q, p = motion.rotations[read], motion.positions_cm[read]
        width, value, limit = spikes(q, fps=fps, least=flicker_deg, acceleration=MAX_TURN_DEG_S2, angles=True)
        hit, step = jumps(q, fps=fps, least=JUMP_DEG_S / fps, angles=True)
        jump_value = np.where(hit, step, 0.0)
        moved = spikes(p[:, free], fps=fps, least=FLICKER_CM, acceleration=MAX_PUSH_CM_S2, angles=False)
        leapt, way = jumps(p[:, free], fps=fps, least=JUMP_CM_S / fps, angles=False)
        for i, j in enumerate(free):
            new = (moved[0][:, i] > 0) & (width[:, j] == 0)
            # a centimetre of a free joint is written as such in the fault's unit: negative sizes here
            width[new, j], value[new, j], limit[new, j] = (
                moved[0][new, i],
                -moved[1][new, i],
                moved[2][new, i],
            )
            new = leapt[:, i] & ~hit[:, j]
            hit[new, j], jump_value[new, j] = True, -way[new, i]
            step[:, j] = np.maximum(step[:, j], way[:, i])
        same = np.zeros(width.shape, bool)
        same[1:] = (q[1:] == q[:-1]).all(-1) & (p[1:] == p[:-1]).all(-1)
        for name, array in (
            ("flicker", width),
            ("flicker_value", value),
            ("flicker_limit", limit),
            ("jump", hit),
            ("jump_value", jump_value),
        ):
            getattr(result, name)[to] = array[keep]
        result.step[to], result.same[to] = step[keep], same[keep]
        places, world, tips = world_of(motion, read)
        result.bends[to] = bends_of(hinges, places, world, tips)[keep]
        result.twists[to] = turns_of(twists, world)[keep]
        for pair, steps in swap_steps(fingers, hands, q, places, world, tips).items():
            result.swaps.setdefault(pair, np.zeros(num, kept))[to] = steps[keep]
        for i, j in enumerate(ends):
            if j >= 0:
                result.ends[to, i] = places[keep, j]
    return result


def _freezes(motion: Motion, signals: _Signals, freeze_seconds: float) -> tuple[list[Fault], list[str]]:
    """Joints, and the whole body, that stay bit-identical; and joints that never move."""
    limit = max(2, round(freeze_seconds * motion.fps))
    static = (~signals.same[1:]).sum(0) < 3  # a reference pose in the first frame is a step or two
    moving = np.flatnonzero(~static)
    faults: list[Fault] = []
    all_same = np.asarray(signals.same[:, moving].all(axis=1)) & (len(moving) > 0)
    for first, stop in runs(all_same, least=limit):
        faults.append(
            Fault("freeze", WHOLE_BODY, -1, first, stop, (stop - first) / motion.fps, freeze_seconds, "s")
        )
    whole = np.zeros(motion.num_frames, bool)
    for fault in faults:
        whole[fault.first : fault.stop] = True
    for j in moving:
        stretches = runs(signals.same[:, j] & ~whole, least=limit)
        poses = [motion.rotations[first, j].tobytes() for first, _ in stretches]
        for (first, stop), pose in zip(stretches, poses):
            around = [signals.step[i, j] for i in (first - 1, stop) if 0 < i < motion.num_frames]
            rest = np.abs(motion.rotations[first, j, 3]) > 1 - 1e-12
            if rest or poses.count(pose) > 1 or max(around, default=0.0) < FREEZE_EDGE_DEG:
                continue
            faults.append(
                Fault(
                    "freeze",
                    motion.names[j],
                    int(j),
                    first,
                    stop,
                    (stop - first) / motion.fps,
                    freeze_seconds,
                    "s",
                )
            )
    return faults, [f"{motion.names[j]}: never moves" for j in np.flatnonzero(static)]


def _slides(
    motion: Motion, signals: _Signals, found: dict[str, int], slide_cm_s: float
) -> tuple[list[Fault], dict[str, dict[str, float]]]:
    """Feet that move along the ground while they stand on it, and figures of each foot.

    A foot is on the ground where ankle and ball both lie within CONTACT_CM of their own fifth percentile and
    rise or fall more slowly than CONTACT_CM_S. It slides where its ball moves faster than `slide_cm_s` along
    the ground; above SWING_CM_S it is a low swing. Speeds are taken over 1/30 s.
    """
    half = max(1, round(motion.fps / 60))
    faults: list[Fault] = []
    feet: dict[str, dict[str, float]] = {}
    for k, side in enumerate(SIDES):
        ball, ankle = signals.ends[:, 4 + k].astype(float), signals.ends[:, 2 + k].astype(float)
        name = f"{side}ToeBase" if f"{side}ToeBase" in found else f"{side}Foot"
        ball = ankle if f"{side}ToeBase" not in found else ball
        if name not in found or not np.isfinite(ball).any() or motion.num_frames <= 2 * half:
            continue
        speed = np.full(ball.shape, np.nan)
        speed[half:-half] = (ball[2 * half :] - ball[: -2 * half]) * motion.fps / (2 * half)
        level = np.linalg.norm(speed[:, [0, 2]], axis=1)
        with np.errstate(invalid="ignore"):
            low = [points[:, 1] - np.nanpercentile(points[:, 1], 5) < CONTACT_CM for points in (ball, ankle)]
            contact = low[0] & low[1] & (np.abs(speed[:, 1]) < CONTACT_CM_S) & (level < SWING_CM_S)
            sliding = contact & (level > slide_cm_s)
        longest = 0.0
        for first, stop in runs(np.asarray(sliding), join=half):
            way = float(np.linalg.norm((ball[min(stop, len(ball) - 1)] - ball[first])[[0, 2]]))
            longest = max(longest, way)
            if way >= SLIDE_CM:
                faults.append(
                    Fault("slide", motion.names[found[name]], found[name], first, stop, way, SLIDE_CM, "cm")
                )
        count, slow = int(contact.sum()), int(sliding.sum())
        feet[name] = {
            "contact_frames": count,
            "sliding_share": round(slow / max(count, 1), 4),
            "longest_slide_cm": round(longest, 2),
        }
    return faults, feet


def inspect(
    motion: Motion, *, flicker_deg: float = 8.0, freeze_seconds: float = 0.25, slide_cm_s: float = 15.0
) -> Inspection:
    """Faults of a motion, by frame; the rules and where their limits come from are in docs/body.md.

    flicker_deg: least size of a spike; freeze_seconds: longest stretch without any change; slide_cm_s: speed
    of a standing foot above which it slides. Frames with NaN are faults of their own and nothing else is said
    of them.
    """
    found, fingers = motion.aliases(), fingers_of(motion)
    finite = np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2))
    faults = [Fault("nan", WHOLE_BODY, -1, a, b, (b - a) / motion.fps, 0.0, "s") for a, b in runs(~finite)]
    usable = np.flatnonzero(finite)
    if len(usable) < 2:
        return Inspection(faults, {}, ["fewer than two frames without NaN"])
    sample = usable[np.unique(np.linspace(0, len(usable) - 1, 1000).astype(int))]
    hinges, not_judged = hinges_of(motion, found, fingers, sample)
    twists = twists_of(motion, found, sample)
    signals = _signals(motion, hinges, twists, fingers, flicker_deg)
    swaps = list(swaps_of(motion, signals.swaps, signals.ends, fingers, found))
    freezes, static = _freezes(motion, signals, freeze_seconds)
    slides, feet = _slides(motion, signals, found, slide_cm_s)
    explained = np.zeros(signals.jump.shape, bool)  # steps and spikes that are a swap's or a freeze's edges
    for fault in [*swaps, *freezes]:
        touched = _touched(motion, fault, fingers)
        # over a spike's longest width round both ends
        for edge in (fault.first, fault.stop):
            explained[max(edge - 4, 0) : edge + 4, touched] = True
    for j in range(len(motion.names)):
        for first, stop in runs(signals.flicker[:, j] > 0):
            # spikes side by side stay apart where their widths differ: each is as wide as it says
            while first < stop:
                end = min(first + int(signals.flicker[first, j]), stop)
                if not explained[first:end, j].any():
                    value = float(signals.flicker_value[first, j])
                    faults.append(
                        _sized(
                            "flicker", motion, j, first, end, value, float(signals.flicker_limit[first, j])
                        )
                    )
                first = end
        spiky = signals.flicker[:, j] > 0
        near = spiky | np.roll(spiky, 1) | np.roll(spiky, -1)
        for t in np.flatnonzero(signals.jump[:, j] & ~explained[:, j] & ~near):
            value = float(signals.jump_value[t, j])
            faults.append(
                _sized(
                    "jump",
                    motion,
                    j,
                    int(t),
                    int(t) + 1,
                    value,
                    (JUMP_DEG_S if value > 0 else JUMP_CM_S) / motion.fps,
                )
            )
    faults += [*swaps, *freezes, *slides]
    spiky = signals.flicker > 0
    faults += [
        fault
        for fault in beyond_limits(motion, hinges, signals.bends, twists, signals.twists)
        if not spiky[fault.first : fault.stop, fault.index].all()
    ]
    order = sorted(faults, key=lambda fault: (fault.first, KINDS.index(fault.kind), fault.index))
    return Inspection(order, feet, not_judged + static)


def _sized(kind: str, motion: Motion, joint: int, first: int, stop: int, value: float, limit: float) -> Fault:
    """A fault of a rotation (degrees), or of a free joint's place (cm) where `value` is negative."""
    return Fault(
        kind, motion.names[joint], joint, first, stop, abs(value), limit, "deg" if value > 0 else "cm"
    )


def _touched(motion: Motion, fault: Fault, fingers: dict[str, list[int]]) -> np.ndarray:
    """Indices of the joints whose steps a swap or a freeze explains."""
    if fault.index < 0 or fault.kind == "side_swap":
        return np.arange(len(motion.names))
    if fault.kind == "swap":
        names = fault.note.split(";")[0].split(" and ")
        return np.array([j for name in names for j in fingers[name]])
    return np.array([fault.index])
