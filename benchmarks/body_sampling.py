"""What it costs to sample two bodies, how good they are then, and whether windows of a long take show.

    python benchmarks/body_sampling.py data/small
    python benchmarks/body_sampling.py data/small --runs one_network --seeds 0 1

Reads a finished run's shards and trained runs of bodies. Printed as Markdown:

- by sampler and number of steps: network calls of each run (guidance counts twice), processor seconds for
  10 s of two bodies, and Frechet distances (models.metrics) of samples of all test takes against the real
  ones, a sample of each take for each seed, with half-widths of 95 % intervals over seeds. Both are of
  what is drawn, before feet are held;
- of 90 s in one go, of the test takes' voices one after the other: the largest step of the standardised pose
  and root over the border of a window, and that below which 99.9 % of the other steps are. Of forty steps
  one may be larger by chance: the last line counts bodies with a larger one, at the borders and at as many
  places a third of a second to 1.5 s beside them, where no window ends.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from sampling import interval, show

from models.data import shards_of, takes_of
from models.generate import sample
from models.metrics import add_window, frechet, largest_jump
from models.row import load_runs
from models.runs import Run
from models.sampling import SAMPLERS as KINDS
from models.sampling import window_spans
from models.scene import MADE, STREAMS, Scene, scene_of
from models.tally import Tally
from models.threads import fixed_threads
from pipeline.config import Generate
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.motion.clock import FPS

SAMPLERS = (("ddpm", 150), ("ddim", 50), ("ddim", 25), ("ddim", 15), ("ddim", 10), ("ddim", 5), ("dpm++", 15),
            ("dpm++", 10), ("dpm++", 7), ("dpm++", 5))  # fmt: skip
BESIDE = (-45, -30, -20, -15, -10, 10, 15, 20, 30, 45)
"""Frames by which places beside the borders of windows are moved."""
WINDOW = 120
"""Frames of the windows of the distances, as evaluate.window_frames is by default."""


def counted(bodies: list[np.ndarray]) -> Tally:
    """Moments of poses and steps of bodies (N, 2, 3 J), window by window."""
    result = Tally()
    for body in bodies:
        rows = np.asarray(body, np.float64).reshape(len(body), -1)
        for start in range(0, len(rows) - WINDOW + 1, WINDOW):
            add_window(result, rows[start : start + WINDOW])
    return result


class Calls:
    """How often networks are asked, while it is entered."""

    def __init__(self, runs: list[Run]):
        self.count, self.runs = 0, runs

    def __enter__(self) -> "Calls":
        self.hooks = [run.model.network.register_forward_hook(self._add) for run in self.runs]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _add(self, *_: object) -> None:
        self.count += 1


def by_sampler(
    runs: list[Run], takes: list[tuple[Shard, TakeSpan]], scenes: list[Scene], given: argparse.Namespace
) -> None:
    """The table of samplers."""
    real = counted([np.asarray(shard["body"][s.start_frame : s.stop_frame]) for shard, s in takes])
    rows = []
    for sampler, steps in given.samplers:
        options = Generate(sampler=sampler, sample_steps=steps, threads=given.threads)
        poses, rates, spent, calls = [], [], 0.0, 0
        for seed in given.seeds:
            made = []
            for scene in scenes:
                windows = len(window_spans(scene.num_frames, window=options.window_frames or scene.num_frames,
                                           overlap=options.overlap_frames))  # fmt: skip
                start = time.process_time()
                with Calls(runs) as asked:
                    found = sample(runs, scene, number=0, options=options.model_copy(update={"seed": seed}))
                spent += time.process_time() - start
                calls = round(asked.count / windows / len(runs))
                made.append(found["body"])
            own = counted(made)
            poses.append(frechet(own.rows["frames"], real.rows["frames"]))
            rates.append(frechet(own.rows["steps"], real.rows["steps"]))
        seconds = len(given.seeds) * sum(scene.num_frames for scene in scenes) / FPS
        cells = [sampler, str(steps), str(calls), f"{10 * spent / seconds:.2f}", interval(poses)]
        rows.append([*cells, interval(rates)])
    show(("sampler", "steps", "network calls", "processor s for 10 s", "FD_g", "FD_k"), rows)


def long_take(runs: list[Run], scenes: list[Scene], given: argparse.Namespace) -> None:
    """The table of a long take's seams."""
    frames, parts = round(given.long_seconds * FPS), {}
    for name in scenes[0].batch:
        joined = np.concatenate([np.asarray(scene.batch[name]) for scene in scenes])
        parts[name] = np.resize(joined, (frames, *joined.shape[1:]))
    first, options = scenes[0], Generate(threads=given.threads)
    scene = Scene("benchmark", first.performances, first.actors, parts, first.start, first.skeletons)
    spans = window_spans(frames, window=options.window_frames or frames, overlap=options.overlap_frames)
    joins = np.cumsum([scene.num_frames for scene in scenes])
    near = {int(join) + k for join in joins for k in (-1, 0, 1)}
    seams = sorted({place for span in spans for place in span} - {0, frames} - near)
    model, rows, above = runs[-1].model, [], np.zeros(1 + len(BESIDE), int)
    for seed in given.seeds:
        found = sample(runs, scene, number=0, options=options.model_copy(update={"seed": seed}))
        body = model.body.standardise(torch.from_numpy(found["body"]))[..., model.body.moving]
        root = model.relative.standardise(torch.from_numpy(found["relative"]))
        values = torch.cat([body, root], -1).numpy()
        for k in range(2):
            jump, others = largest_jump(values[:, k], seams)
            rows.append([str(seed), "ab"[k], str(len(seams)), f"{jump:.3f}", f"{others:.3f}"])
            for i, moved in enumerate((0, *BESIDE)):
                jump, others = largest_jump(
                    values[:, k], [s + moved for s in seams if 0 < s + moved < frames]
                )
                above[i] += jump > others
    show(("seed", "actor", "seams", "largest step over a seam", "99.9 % of other steps are below"), rows)
    print(
        f"a larger one in {above[0]} of {len(rows)} bodies; at places beside the seams in"
        f" {above[1:].mean():.1f} ({above[1:].min()} to {above[1:].max()}) of {len(rows)}"
    )


def sampler_of(word: str) -> tuple[str, int]:
    """Sampler and steps of a word such as ddim:25."""
    name, _, steps = word.partition(":")
    if name not in KINDS or not steps.isdecimal() or not int(steps):
        raise argparse.ArgumentTypeError(
            f"got {word!r}, need a sampler and its steps, such as ddim:25; there are {', '.join(KINDS)}"
        )
    return name, int(steps)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path, help="root of a run")
    parser.add_argument("--runs", nargs="+", default=["body_lower", "body_upper"], help="runs of a row")
    parser.add_argument("--threads", type=int, default=1, help="as many as generate takes by default: 1")
    parser.add_argument("--long-seconds", type=float, default=90)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--samplers",
        nargs="+",
        type=sampler_of,
        default=SAMPLERS,
        metavar="NAME:STEPS",
        help="samplers and their steps, such as ddim:25 (default: ten)",
    )
    parser.add_argument("--takes", type=int, help="so many of the test takes, the first ones (default: all)")
    given = parser.parse_args()
    runs = load_runs([given.project / "runs" / name for name in given.runs], "cpu")
    opened, _ = shards_of(given.project / "shards")
    takes = takes_of(opened, "test")[: given.takes]
    streams = {name for run in runs for name in run.options.streams if name not in MADE}
    names = (*STREAMS, *sorted(streams - {*STREAMS}))
    scenes = [scene_of(shard, span, names) for shard, span in takes]
    with fixed_threads(given.threads), torch.no_grad():
        by_sampler(runs, takes, scenes, given)
        long_take(runs, scenes, given)


if __name__ == "__main__":
    main()
