"""How fast two faces are made of two voices, at which error; and how long takes go through windows.

    python benchmarks/sampling.py data                     # the root of a run whose face is trained
    python benchmarks/sampling.py data --run other_face --threads 2 --seeds 0 1

Voices are those of the test takes, one after the other and again until there are `--seconds` of them (the
samplers) or `--long-seconds` (the windows), as the run hears them. Printed, as Markdown:

- by sampler and number of network calls: processor seconds, wall seconds, wall seconds as a share of the time
  that is made (below 1 is faster than real time), and LVE, with half the width of an interval over seeds. The
  time to hear the voices (log-mel, speech encoder) is told apart.
- by window: the same, and the largest step over a seam, where a window begins or ends, beside the 99.9th
  percentile of all other steps of the same motions, and the largest of them. Steps where voices begin again
  are no seams.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from models import row
from models.data import attach_speech, speech_folder, takes_of
from models.metrics import largest_jump
from models.runs import Run
from models.sampling import window_spans
from models.scene import MADE, Scene, scene_of
from models.scores import Rigs, face_errors
from models.tally import half_width
from models.threads import fixed_threads
from pipeline.config import Generate, Speech
from pipeline.formats.shard_file import open_shards
from pipeline.motion.clock import FPS, sample_of
from pipeline.shards.features import log_mel

SAMPLERS = (
    ("ddim", 5), ("ddim", 10), ("ddim", 20), ("ddim", 50), ("dpm++", 5), ("dpm++", 10), ("dpm++", 20),
    ("legacy_ddim", 20), ("ddpm", 1000),
)  # fmt: skip
WINDOWS = (150, 300, 600, 0)


class Voices:
    """What the run is told of the test takes, one after the other, and their real faces and rigs."""

    def __init__(self, project: Path, run: Run):
        shards = open_shards(project / "shards")
        streams = tuple(name for name in run.options.streams if name not in MADE)
        if "speech" in streams:
            attach_speech(shards, speech_folder(project / "shards", None))
        self.takes = takes_of(shards, "test")
        self.scenes = [scene_of(shard, span, ("mel", *streams)) for shard, span in self.takes]
        self.faces = [np.asarray(shard["face"][s.start_frame : s.stop_frame]) for shard, s in self.takes]
        self.rigs = Rigs(project / "dataset" / "rigs")
        self.audio = [
            [np.array(shard["audio"][span.start_sample : span.stop_sample, k]) for k in range(2)]
            for shard, span in self.takes
        ]

    def places(self, num_frames: int) -> list[tuple[int, int, int]]:
        """(number of the take, first frame, frame after the last) until there are so many frames."""
        found: list[tuple[int, int, int]] = []
        while not found or found[-1][2] < num_frames:
            number, a = len(found) % len(self.takes), found[-1][2] if found else 0
            found.append((number, a, min(a + len(self.faces[number]), num_frames)))
        return found

    def scene(self, num_frames: int) -> Scene:
        """A scene of so many frames; people of the first test take."""
        places = self.places(num_frames)
        batch = {
            name: np.concatenate([self.scenes[n].batch[name][: b - a] for n, a, b in places])
            for name in self.scenes[0].batch
        }
        first = self.scenes[0]
        return Scene("benchmark", first.performances, first.actors, batch, first.start, first.skeletons)

    def error(self, face: np.ndarray) -> float:
        """LVE (cm^2) of faces (N, 2, 51) made of `scene(N)`, the mean over whole takes and actors."""
        found = []
        for number, a, b in self.places(len(face)):
            if b - a == len(self.faces[number]):
                span = self.takes[number][1]
                for k, actor in enumerate((span.actor_a, span.actor_b)):
                    made, real = face[a:b, k], self.faces[number][:, k]
                    found.append(face_errors(made, real, *self.rigs.of(actor))[0])
        if not found:
            longest = len(self.faces[0]) / FPS
            raise SystemExit(f"--seconds: the first test take lasts {longest:.1f} s, need as many or more")
        return float(np.mean(found))


def made(run: Run, scene: Scene, options: Generate) -> tuple[np.ndarray, float, float]:
    """A face (N, 2, 51) with the wall and the processor seconds that it took."""
    from models.generate import sample

    wall, cpu = time.perf_counter(), time.process_time()
    face = sample([run], scene, number=0, options=options)["face"]
    return face, time.perf_counter() - wall, time.process_time() - cpu


def interval(values: list[float]) -> str:
    """Mean and half the width of its interval."""
    half = half_width(values)
    return f"{np.mean(values):.4f}" + (f" ± {half:.4f}" if half is not None else "")


def hearing(run: Run, voices: Voices, num_frames: int) -> tuple[float, float]:
    """Wall and processor seconds to hear two voices of so many frames."""
    both = [
        np.concatenate([voices.audio[n][k][: sample_of(b - a)] for n, a, b in voices.places(num_frames)])
        for k in range(2)
    ]
    wall, cpu = time.perf_counter(), time.process_time()
    for voice in both:
        log_mel(voice, num_frames, **run.description["features"])
    if encoder := row.speech_encoder([run]):
        from pipeline.shards.speech import encode

        layer = encoder["layer"] if encoder["layer"] == "last" else int(encoder["layer"])
        encode(both, num_frames, Speech(model=encoder["model"], layer=layer))
    return time.perf_counter() - wall, time.process_time() - cpu


def show(head: tuple[str, ...], rows: list[list[str]]) -> None:
    """A table as Markdown."""
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for cells in rows:
        print("| " + " | ".join(cells) + " |", flush=True)


def by_sampler(run: Run, voices: Voices, given: argparse.Namespace) -> None:
    """The table of samplers."""
    num_frames = round(given.seconds * FPS)
    scene, rows = voices.scene(num_frames), []
    wall, cpu = hearing(run, voices, num_frames)
    print(
        f"\n{given.seconds:g} s of two voices are heard in {wall:.1f} s, of processors {cpu:.1f} s",
        flush=True,
    )
    for sampler, steps in SAMPLERS:
        if sampler == "legacy_ddim" and (run.options.prediction, run.options.skip) != ("clean", "none"):
            continue
        errors, walls, cpus = [], [], []
        for seed in given.seeds:
            options = Generate(seed=seed, sampler=sampler, sample_steps=steps, threads=given.threads)
            face, wall, cpu = made(run, scene, options)
            errors.append(voices.error(face))
            walls.append(wall)
            cpus.append(cpu)
        share = min(walls) / given.seconds
        rows.append(
            [sampler, str(steps), f"{min(cpus):.1f}", f"{min(walls):.1f}", f"{share:.3f}", interval(errors)]
        )
    show(("sampler", "network calls", "processor s", "wall s", "wall s a second made", "LVE, cm^2"), rows)


def by_window(run: Run, voices: Voices, given: argparse.Namespace) -> None:
    """The table of windows."""
    num_frames = round(given.long_seconds * FPS)
    scene, rows = voices.scene(num_frames), []
    joins = {place for _, a, _ in voices.places(num_frames) for place in (a - 1, a, a + 1)}
    for window in WINDOWS:
        options = Generate(window_frames=window, threads=given.threads)
        spans = window_spans(
            num_frames,
            window=window or num_frames,
            overlap=options.overlap_frames,
            multiple=getattr(run.options, "period", 1),
        )
        seams = sorted({place for span in spans for place in span} - {0, num_frames} - joins)
        errors, walls, cpus, largest, usual, most = [], [], [], [], [], []
        for seed in given.seeds:
            face, wall, cpu = made(run, scene, options.model_copy(update={"seed": seed}))
            errors.append(voices.error(face))
            walls.append(wall)
            cpus.append(cpu)
            for k in range(2 if seams else 0):
                jump, others = largest_jump(face[:, k], seams)
                largest.append(jump)
                usual.append(others)
                most.append(largest_jump(face[:, k], seams, share=1.0)[1])
        name = f"{window} frames" if window else "whole take"
        seam = [f"{value:.3f}" for value in (max(largest), np.mean(usual), max(most))] if seams else [""] * 3
        share = min(walls) / given.long_seconds
        cells = [name, str(len(spans)), f"{min(cpus):.1f}", f"{min(walls):.1f}", f"{share:.3f}"]
        rows.append([*cells, interval(errors), *seam])
    head = ("window", "windows", "processor s", "wall s", "wall s a second made", "LVE, cm^2")
    show((*head, "largest step over a seam", "99.9 % of other steps are below", "largest"), rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path, help="root of a run")
    parser.add_argument("--run", default="face", help="a run that makes faces (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="as many as generate takes by default: 1")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--long-seconds", type=float, default=90)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    (run,) = row.load_runs([given.project / "runs" / given.run], "cpu")
    sizes = f"{sum(p.numel() for p in run.model.parameters()):,} parameters, {given.threads} threads"
    print(f"{given.run}: {sizes}, trained on windows of {run.options.window_frames} frames")
    with fixed_threads(given.threads), torch.no_grad():
        voices = Voices(given.project, run)
        by_sampler(run, voices, given)
        by_window(run, voices, given)


if __name__ == "__main__":
    main()
