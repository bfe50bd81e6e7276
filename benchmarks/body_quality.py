"""How many injected faults of each kind are found in simulated motion, and how many are found in it as it is.

    python benchmarks/body_quality.py --takes 3 --seconds 20 --seeds 0 1

Prints faults injected, found and their share for each kind, and false alarms a minute of clean motion. Every
fault stands in its own copy of a performance; it is found where a fault of its kind overlaps it on one of its
joints.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from pipeline import config
from pipeline.capture import body_quality
from pipeline.capture.body_faults import KINDS
from pipeline.motion import rotations
from pipeline.motion.fingers import FINGERS
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import chain
from pipeline.simulate import plan, take

Injected = tuple[Motion, list[int], int, int]


def _copy(motion: Motion) -> Motion:
    return replace(motion, rotations=motion.rotations.copy(), positions_cm=motion.positions_cm.copy())


def _span(motion: Motion, rng: np.random.Generator, low: float, high: float) -> tuple[int, int]:
    length = int(rng.uniform(low, high) * motion.fps)
    first = int(rng.integers(10, motion.num_frames - length - 10))
    return first, first + length


def swap(motion: Motion, rng: np.random.Generator, *, to_the_end: bool = False) -> Injected:
    """Two neighbouring fingers exchange their rotations for 0.1 to 2 s, or never change back."""
    side, i = ("Left", "Right")[rng.integers(2)], int(rng.integers(1, 4))
    first, stop = _span(motion, rng, 0.1, 2.0)
    stop = motion.num_frames if to_the_end else stop
    one, other = (
        [motion.names.index(f"{side}Hand{finger}{k}") for k in (1, 2, 3)] for finger in FINGERS[i : i + 2]
    )
    changed = _copy(motion)
    changed.rotations[first:stop, one], changed.rotations[first:stop, other] = (
        motion.rotations[first:stop, other],
        motion.rotations[first:stop, one],
    )
    return changed, one + other, first, stop


def limit(motion: Motion, rng: np.random.Generator) -> Injected:
    """A finger joint is bent backwards by 40 to 70 degrees beyond straight, smoothly, for 0.2 to 1 s."""
    side, number = ("Left", "Right")[rng.integers(2)], int(rng.integers(2, 4))
    joint = motion.names.index(f"{side}Hand{FINGERS[rng.integers(1, 5)]}{number}")
    first, stop = _span(motion, rng, 0.2, 1.0)
    back = np.deg2rad(rng.uniform(45, 75)) * (1 if side == "Left" else -1)
    changed = _copy(motion)
    extended = rotations.about("z", np.full(stop - first, back))
    ease = np.clip(np.minimum(np.arange(stop - first), np.arange(stop - first)[::-1]) / 8, 0, 1)[:, None]
    mixed = (1 - ease) * motion.rotations[first:stop, joint] + ease * extended
    changed.rotations[first:stop, joint] = rotations.normalise(mixed)
    return changed, [joint], first, stop


def flicker(motion: Motion, rng: np.random.Generator) -> Injected:
    """A joint turns away by 15 to 40 degrees for one to three frames."""
    joint, width = int(rng.integers(1, len(motion.names))), int(rng.integers(1, 4))
    first = int(rng.integers(10, motion.num_frames - 20))
    axis = rng.normal(size=3)
    away = rotations.from_expmap(axis / np.linalg.norm(axis) * np.deg2rad(rng.uniform(15, 40)))
    changed = _copy(motion)
    changed.rotations[first : first + width, joint] = rotations.multiply(
        motion.rotations[first : first + width, joint], away
    )
    return changed, [joint], first, first + width


def jump(motion: Motion, rng: np.random.Generator) -> Injected:
    """From a frame on, a joint is turned by 20 to 60 degrees, or the hips stand 15 to 60 cm aside."""
    first = int(rng.integers(10, motion.num_frames - 20))
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    changed = _copy(motion)
    if rng.random() < 0.3:
        changed.positions_cm[first:, 0] += rng.uniform(15, 60) * axis
        return changed, [0], first, first + 1
    joint = int(rng.integers(1, len(motion.names)))
    changed.rotations[first:, joint] = rotations.multiply(
        motion.rotations[first:, joint], rotations.from_expmap(axis * np.deg2rad(rng.uniform(20, 60)))
    )
    return changed, [joint], first, first + 1


def freeze(motion: Motion, rng: np.random.Generator) -> Injected:
    """A joint that moves all the time, or the whole body, is held for 0.4 to 2 s."""
    first, stop = _span(motion, rng, 0.4, 2.0)
    moving = np.flatnonzero((motion.rotations[1:] != motion.rotations[:-1]).any(-1).all(0))
    joints = list(range(len(motion.names))) if rng.random() < 0.2 else [int(rng.choice(moving))]
    changed = _copy(motion)
    changed.rotations[first:stop, joints] = motion.rotations[first, joints]
    if len(joints) > 1:
        changed.positions_cm[first:stop] = motion.positions_cm[first]
    return changed, joints, first, stop


def swap_to_the_end(motion: Motion, rng: np.random.Generator) -> Injected:
    """Two neighbouring fingers exchange their rotations from a frame on."""
    return swap(motion, rng, to_the_end=True)


def side_swap(motion: Motion, rng: np.random.Generator) -> Injected:
    """Both arms, or both legs, exchange their labels for 0.1 to 2 s."""
    part = ("Shoulder", "UpLeg")[rng.integers(2)]
    first, stop = _span(motion, rng, 0.1, 2.0)
    left = {motion.names.index(f"Left{part}")}
    for j, parent in enumerate(motion.parents):
        if parent in left:
            left.add(j)
    one = sorted(left)
    other = [motion.names.index(motion.names[j].replace("Left", "Right")) for j in one]
    changed = _copy(motion)
    for array, source in ((changed.rotations, motion.rotations), (changed.positions_cm, motion.positions_cm)):
        array[first:stop, one + other] = source[first:stop, other + one]
    return changed, [motion.names.index(f"Left{'Hand' if part == 'Shoulder' else 'Foot'}")], first, stop


def nan(motion: Motion, rng: np.random.Generator) -> Injected:
    """A joint is not seen for up to half a second."""
    first, stop = _span(motion, rng, 0.01, 0.5)
    joint = int(rng.integers(len(motion.names)))
    changed = _copy(motion)
    changed.rotations[first:stop, joint] = np.nan
    return changed, [joint], first, stop


def slide(motion: Motion, rng: np.random.Generator) -> Injected:
    """The body is pushed aside while both feet stand on the ground, somewhere in the motion.

    By 6 to 20 cm at 30 to 80 cm/s.
    """
    feet = [motion.names.index(name) for name in ("LeftFoot", "RightFoot", "LeftToeBase", "RightToeBase")]
    places = chain(motion.parents, motion.positions_cm, motion.rotations)[0][:, feet]
    way, speed = rng.uniform(6, 20), rng.uniform(30, 80)
    length = max(2, round(way / speed * motion.fps))
    still = (np.abs(np.diff(places, axis=0)).max((1, 2)) * motion.fps < 10) & (
        places[1:, :, 1] - np.percentile(places[..., 1], 5, axis=0) < 2
    ).all(1)
    firsts = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(still, length).all(1))
    if not len(firsts):
        return motion, [], 0, 0
    first = int(rng.choice(firsts)) + 1
    angle = rng.uniform(0, 2 * np.pi)
    moved = np.clip((np.arange(motion.num_frames) - first) / length, 0, 1)[:, None] * way
    changed = _copy(motion)
    changed.positions_cm[:, 0] += moved * [np.cos(angle), 0, np.sin(angle)]
    return changed, feet, first, first + length


INJECTORS: dict[str, tuple[str, Callable[[Motion, np.random.Generator], Injected]]] = {
    "nan": ("nan", nan),
    "swap": ("swap", swap),
    "swap, to the end": ("swap", swap_to_the_end),
    "side_swap": ("side_swap", side_swap),
    "limit": ("limit", limit),
    "flicker": ("flicker", flicker),
    "jump": ("jump", jump),
    "freeze": ("freeze", freeze),
    "slide": ("slide", slide),
}
"""What is injected, by the table's name.

The kind that it is to be found as, and the function that injects it.
"""


def is_found(kind: str, injected: Injected) -> bool:
    """Whether a fault of this kind is found at the place of the injected one."""
    motion, joints, first, stop = injected
    return any(
        fault.kind == kind
        and (fault.index in joints or fault.index < 0)
        and fault.first < stop + 2
        and fault.stop > first - 2
        for fault in body_quality.inspect(motion).faults
    )


def motions(seeds: list[int], num_takes: int, seconds: float) -> Iterator[Motion]:
    """Both actors' motions of the first takes of simulated shoots."""
    for seed in seeds:
        for row in plan.plan_takes(num_takes, seed):
            yield from take.play(row, seed=seed, options=config.Simulate(seconds=seconds)).motions


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--takes", type=int, default=3, help="takes of each shoot (default: 3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a take, seconds (default: 20)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1], help="seeds of the shoots (default: 0 1)"
    )
    parser.add_argument(
        "--faults", type=int, default=5, help="faults of each kind in a performance (default: 5)"
    )
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    injected, hits = (dict.fromkeys(INJECTORS, 0) for _ in range(2))
    alarms = dict.fromkeys(KINDS, 0)
    minutes = 0.0
    for motion in motions(options.seeds, options.takes, options.seconds):
        minutes += motion.num_frames / motion.fps / 60
        for fault in body_quality.inspect(motion).faults:
            alarms[fault.kind] += 1
        # a stretch of 6 s is enough round a fault, and three times as fast
        for name, (kind, inject) in INJECTORS.items():
            for _ in range(options.faults):
                start = int(rng.integers(0, motion.num_frames - 720))
                fault = inject(motion.frames(slice(start, start + 720)), rng)
                if fault[1]:  # a foot that never stands cannot slide
                    hits[name] += is_found(kind, fault)
                    injected[name] += 1
    print(
        f"{'fault':<18}{'injected':>9}{'found':>7}{'recall':>8}{'false alarms':>14}   in {minutes:.1f}"
        " minutes of clean motion"
    )
    for name, (kind, _) in INJECTORS.items():
        recall = f"{hits[name] / injected[name]:.3f}" if injected[name] else "-"
        print(f"{name:<18}{injected[name]:>9}{hits[name]:>7}{recall:>8}{alarms[kind] / minutes:>12.2f}/min")


if __name__ == "__main__":
    main()
