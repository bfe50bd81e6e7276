"""What FaceFormer on vertices costs: processor time and memory of a step, and of samples of several lengths.

    python benchmarks/face_vertices.py                                   # rigs of 9,409 and 24,049 vertices
    python benchmarks/face_vertices.py --vertices 1514 --frames 300      # another size, other lengths

Rigs and data are random, since nothing of them changes the cost; the width is 128 from 20,000 vertices on and
64 below, as published for heads of such sizes. Each line is a process of its own. Printed, as Markdown:
parameters of the network (80 mel bands, two actors), processor seconds, and the largest resident memory.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from models.draws import Draws
from models.heads import Heads
from models.recipe import Meta
from models.recipes.faceformer import Model, Options
from models.threads import fixed_threads
from pipeline.config import Generate
from pipeline.formats import arkit
from pipeline.formats.rig_file import Rig, save_rig

BATCH, WINDOW = 8, 90
"""Windows of a batch and frames of a window: the defaults of a training."""


def model_of(rig: Path, dim: int) -> Model:
    """An untrained model of two actors who share a rig."""
    count = len(arkit.NAMES)
    stats = {
        "face": {"mean": [0.1] * count, "std": [0.1] * count},
        "mel": {"mean": [0.0] * 80, "std": [1.0] * 80},
    }
    heads = Heads(rig)
    meta = Meta(stats, ["Hips"], ["1", "2"], rigs=heads.described(["1", "2"], stats["face"]))
    model = Model(Options(audio="mel", target="vertices", dim=dim), meta)
    model.heads = heads
    return model


def measure(rig: Path, dim: int, frames: int | None) -> tuple[int, float, float]:
    """Parameters, processor seconds and peak MB of the second step, or of a sample of so many frames."""
    with fixed_threads(1):
        model = model_of(rig, dim)
        windows, length = (BATCH, WINDOW) if frames is None else (1, frames)
        batch = {
            "mel": torch.randn(windows, length, 2, 80),
            "face": torch.rand(windows, length, 2, len(arkit.NAMES)),
            "actors": torch.tensor([[0, 1]] * windows),
            "rigs": torch.zeros(windows, 2, dtype=torch.int64),
        }
        draws = Draws(0, 0, windows, "cpu")
        optimiser, before = model.optimiser(model.groups(), 1e-3), time.process_time()
        if frames is None:
            for _ in range(2):
                before = time.process_time()
                optimiser.zero_grad()
                model.loss(batch, draws)["loss"].backward()
                optimiser.step()
        else:
            model.eval().sample(batch, draws, Generate())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024**2 if sys.platform == "darwin" else 1024
    )
    return sum(p.numel() for p in model.parameters()), time.process_time() - before, peak


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vertices", type=int, nargs="+", default=[9409, 24049])
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 1800], help="lengths of samples")
    given = parser.parse_args()
    print("| vertices | width | parameters | what | processor s | peak memory, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    rng, started = np.random.default_rng(0), multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for vertices in given.vertices:
            rig, dim = Path(folder, f"{vertices}.npz"), 128 if vertices >= 20_000 else 64
            deltas = rng.normal(0, 0.1, (len(arkit.NAMES), vertices, 3)).astype(np.float32)
            faces = np.arange(vertices // 3 * 3).reshape(-1, 3)
            save_rig(rig, Rig(rng.normal(0, 8, (vertices, 3)).astype(np.float32), deltas, faces))
            for frames in (None, *given.frames):
                with started.Pool(1) as pool:
                    count, seconds, peak = pool.apply(measure, (rig, dim, frames))
                what = (
                    f"step of {BATCH} windows of {WINDOW}" if frames is None else f"{frames} frames sampled"
                )
                print(
                    f"| {vertices:,} | {dim} | {count:,} | {what} | {seconds:.1f} | {peak:.0f} |", flush=True
                )


if __name__ == "__main__":
    main()
