"""How many scripted touches of simulated takes `pipeline.annotate.contacts` finds.

And how close to their times.

    python benchmarks/contacts.py --seeds 10 11 12 --takes 16

A row per type of touch, own and of the partner: touches, share that is found (same hand and part, overlapping
in time), by how much the contact begins and ends before (-) or after the touch (medians), and contacts that
no touch was scripted for. A touch is scripted by the palm's place on the skin, without anything of the
stage's capsules (pipeline/simulate/touch.py).
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline import config  # noqa: E402
from pipeline.annotate.contacts import find_contacts  # noqa: E402
from pipeline.motion.motion import Motion  # noqa: E402
from pipeline.simulate import plan, take  # noqa: E402

FPS = 30


def at_dataset_rate(scene: take.Scene) -> list[Motion]:
    """Both bodies at 30 fps over the window that the streams share, to the next frame of their 120 fps."""
    start, stop = scene.streams.window
    times = start + np.arange(int((stop - start) * FPS)) / FPS
    motions = []
    for motion, stream in zip(scene.motions, scene.streams.start, strict=True):
        index = np.round((times - stream["body"]) * motion.fps).astype(int)
        motions.append(
            replace(
                motion, fps=FPS, positions_cm=motion.positions_cm[index], rotations=motion.rotations[index]
            )
        )
    return motions


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[10, 11, 12], help="seeds of simulated shoots"
    )
    parser.add_argument("--takes", type=int, default=16, help="takes of each")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a take")
    arguments = parser.parse_args()
    errors: dict[tuple[str, bool], list[tuple[float, float] | None]] = defaultdict(list)
    others: dict[tuple[str, bool], int] = defaultdict(int)
    for seed in arguments.seeds:
        for row in plan.plan_takes(arguments.takes, seed):
            scene = take.play(row, seed=seed, options=config.Simulate(seconds=arguments.seconds))
            found = find_contacts(at_dataset_rate(scene))
            used = set()
            for touch in scene.touches:
                start, stop = (time - scene.streams.window[0] for time in (touch.start, touch.stop))
                hits = [
                    i
                    for i, c in enumerate(found)
                    if (c["actor"], c["of"], c["hand"], c["part"])
                    == (touch.actor, touch.of, touch.hand, touch.part)
                    and c["start"] / FPS < stop
                    and start < c["stop"] / FPS
                ]
                used |= set(hits)
                error = (
                    (found[hits[0]]["start"] / FPS - start, found[hits[-1]]["stop"] / FPS - stop)
                    if hits
                    else None
                )
                errors[f"hand-{touch.kind.lower()}", touch.actor == touch.of].append(error)
            for i, contact in enumerate(found):
                if i not in used:
                    others[contact["type"], contact["actor"] == contact["of"]] += 1
    print(f"{'type':15}{'whose':9}{'touches':>8}{'found':>8}{'start ms':>10}{'end ms':>8}{'others':>8}")
    for kind, own in sorted({*errors, *others}):
        hits = [error for error in errors[kind, own] if error]
        start, stop = 1e3 * np.median(hits, axis=0) if hits else (np.nan, np.nan)
        share = f"{len(hits) / len(errors[kind, own]):.2f}" if errors[kind, own] else "-"
        print(
            f"{kind:15}{'own' if own else 'partner':9}{len(errors[kind, own]):>8}{share:>8}"
            f"{start:>10.0f}{stop:>8.0f}{others.get((kind, own), 0):>8}"
        )


if __name__ == "__main__":
    main()
