"""How fast and how exactly face meshes become ARKit weights.

Side by side with reading the stream and with scipy's lsqr.

    python benchmarks/blendshapes.py --frames 2000 --repeats 5

Writes a stream of meshes (HDF5, chunks of 8 frames) of the ICT head of the folder that INTERACT_REAL_DATA
names, moved by its real curves (face/*.csv), with 0.1 mm of noise; without that folder, of the simulated head
with 24,049 vertices and simulated curves. Then:

- speed: pairs of one read of the whole stream in blocks and one fit of it, `normal`, with 1 and with 2
  threads; the stream is not in memory (evicted before each) and then is. Medians of the pairs, and of their
  ratios.
- lsqr: scipy's solver per frame, with default tolerances and tight ones (1e-10), against the fit's time a
  frame.
- exactness: largest difference from tight lsqr in float64, on the rig, on the rig with a twin, a zero and a
  collinear shape (minimum-norm both), and of `bounded` from scipy.optimize.lsq_linear.
- movement: the stream turned by up to 20 degrees and moved by up to 5 cm; root mean square error of the
  weights.
- memory: peak of a process that fits 500 and 5,000 frames (--memory; 1.6 GB of disk).
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from scipy.optimize import lsq_linear
from scipy.sparse.linalg import lsqr
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline import config
from pipeline.capture import stream_fit  # noqa: E402
from pipeline.capture.blendshape_fit import BlendshapeFit  # noqa: E402
from pipeline.formats import arkit, faces, ict, live_link
from pipeline.formats.rig_file import Rig, save_rig  # noqa: E402
from pipeline.formats.timecode import format_timecode  # noqa: E402

NOISE_CM = 0.01
RATE = 60


def real_head(folder: Path) -> tuple[Rig, np.ndarray]:
    """The ICT head with ARKit's shapes, and the real curves (N, 51) of both recordings in turn."""
    kit = np.load(folder / "rig" / "ict_facekit_expressions.npz")
    shapes = dict(zip(kit["names"].tolist(), kit["deltas"]))
    deltas = np.stack(
        [
            np.sum([shapes[theirs] for theirs, ours in zip(ict.NAMES, ict.ARKIT_OF) if ours == name], axis=0)
            for name in arkit.NAMES
        ]
    )
    curves = np.concatenate(
        [live_link.read_weights(path) for path in sorted((folder / "face").glob("*.csv"))]
    )
    return Rig(kit["neutral"], deltas.astype(np.float32), kit["faces"]), curves


def simulated_head() -> tuple[Rig, np.ndarray]:
    """The simulated head, and smooth random curves (4000, 51)."""
    from pipeline.simulate.head import make_head

    head = make_head("001", 24_049)
    steps = np.random.default_rng(0).standard_normal((4000, len(arkit.NAMES)))
    slow = np.fft.irfft(np.fft.rfft(steps, axis=0) * (np.arange(2001) < 200)[:, None], axis=0)
    return Rig(head.neutral, head.deltas, head.faces), np.clip(0.25 + 0.5 * slow / slow.std(), 0, 1)


def write_stream(
    path: Path, rig: Rig, weights: np.ndarray, *, rng: np.random.Generator, moved: bool = False
) -> None:
    """A mesh stream of the weights (N, 51), with noise; `moved` turns and moves the head on smooth ways."""
    flat, shape = rig.deltas.reshape(len(rig.deltas), -1), (len(weights), *rig.neutral.shape)
    t = np.arange(len(weights)) / RATE
    turns = Rotation.from_euler(
        "yxz", np.stack([20 * np.sin(0.9 * t), 12 * np.sin(1.7 * t), 8 * np.sin(1.1 * t)], 1), degrees=True
    ).as_matrix()
    ways = np.stack([5 * np.sin(0.7 * t), 3 * np.sin(1.3 * t), 5 * np.cos(0.5 * t)], 1)
    with h5py.File(path, "w") as f:
        vertices = f.create_dataset("vertices", shape, "f4", chunks=(8, *shape[1:]))
        for a in range(0, len(weights), 64):
            block = (weights[a : a + 64].astype(np.float32) @ flat).reshape(-1, *shape[1:]) + rig.neutral
            if moved:
                block = block @ turns[a : a + 64].transpose(0, 2, 1) + ways[a : a + 64, None]
            vertices[a : a + 64] = block + NOISE_CM * rng.standard_normal(block.shape, dtype=np.float32)
        f["timecode"] = np.array(
            [format_timecode(36_000 + i / RATE, RATE) for i in range(len(weights))], "S16"
        )
        f.attrs.update(timecode_rate=float(RATE), units="cm")


def evict(path: Path) -> None:
    """Drop a file from the system's memory, so that the next read comes from the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def read(path: Path) -> None:
    """Read a stream once, in the blocks that the fit reads."""
    with h5py.File(path, "r") as f:
        vertices = f["vertices"]
        for a in range(0, len(vertices), 64):
            vertices[a : a + 64]


def seconds(function) -> float:
    """Wall seconds of one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def fit(path: Path, rig_path: Path, threads: int = 1, **options) -> stream_fit.StreamFit:
    """Fit a whole stream as the stage does."""
    stream = faces.open_face(path)
    return stream_fit.fit_stream(
        stream, rig_path, 0, len(stream.seconds), options=config.Blendshapes(**options), threads=threads
    )


def compare_speed(path: Path, rig_path: Path, num_frames: int, repeats: int) -> float:
    """Print the pairs; the fit's best milliseconds a frame."""
    best = np.inf
    for cold in (True, False):
        for threads in (1, 2):
            calls = (partial(read, path), partial(fit, path, rig_path, threads))
            pairs = []
            for _ in range(repeats):
                times = []
                for call in calls:
                    if cold:
                        evict(path)
                    times.append(seconds(call))
                pairs.append(times)
            once, whole = np.median(pairs, axis=0) / num_frames * 1000
            ratio = float(np.median([b / a for a, b in pairs]))
            best = min(best, whole)
            where = "from disk" if cold else "in memory"
            print(
                f"{where}, {threads} threads: one read {once:.3f} ms a frame, read and fit {whole:.3f}:"
                f" {ratio:.2f} x the read"
            )
    return best


def compare_lsqr(rig: Rig, frames: np.ndarray, ours_ms: float) -> None:
    """Print times and differences of scipy's solver on a few frames (B, V, 3)."""
    basis = rig.deltas.reshape(len(rig.deltas), -1).astype(float)
    offsets = (frames.astype(float) - rig.neutral).reshape(len(frames), -1)
    default, tight = ([], [])
    for found, options in ((default, {}), (tight, {"atol": 1e-10, "btol": 1e-10, "iter_lim": 1000})):
        taken = []
        for offset in offsets:
            begin = time.perf_counter()
            found.append(lsqr(basis.T, offset, **options)[0])
            taken.append(time.perf_counter() - begin)
        name = "tight" if options else "default"
        each = 1000 * float(np.median(taken))
        print(
            f"lsqr with {name} tolerances {each:.0f} ms a frame: {each / ours_ms:.0f} x the fit's"
            f" {ours_ms:.3f} ms"
        )
    fast, exact = (
        BlendshapeFit(rig.neutral, rig.deltas, fast=fast)(frames).weights for fast in (True, False)
    )
    print(
        f"full rank: fit {np.abs(fast - tight).max():.1e} from tight lsqr (float64 throughout:"
        f" {np.abs(exact - tight).max():.1e})",
        end="",
    )
    print(f", lsqr with default tolerances {np.abs(np.array(default) - tight).max():.1e}")


def compare_deficient(rig: Rig, frames: np.ndarray) -> None:
    """Print the difference from tight lsqr with shapes that depend on each other."""
    deltas = rig.deltas.astype(float)
    deltas[3], deltas[7], deltas[20] = deltas[2], 0, deltas[18] - 0.5 * deltas[19]
    basis = deltas.reshape(len(deltas), -1)
    worst = 0.0
    for frame in frames:
        expected = lsqr(
            basis.T, (frame - rig.neutral).ravel().astype(float), atol=1e-12, btol=1e-12, iter_lim=5000
        )[0]
        worst = max(
            worst, float(np.abs(BlendshapeFit(rig.neutral, deltas)(frame[None]).weights[0] - expected).max())
        )
    found = BlendshapeFit(rig.neutral, deltas)
    print(
        f"rank {found.rank} of {len(deltas)}: fit {worst:.1e} from tight lsqr, minimum norm both; told:"
        f" {'; '.join(found.faults(list(arkit.NAMES)))}"
    )


def compare_bounded(rig: Rig, rng: np.random.Generator) -> None:
    """Print the difference of `bounded` from scipy's bounded solver where weights would leave [0, 1]."""
    weights = rng.uniform(-0.4, 1.4, (12, len(rig.deltas)))
    frames = (
        rig.neutral
        + np.tensordot(weights, rig.deltas, 1)
        + NOISE_CM * rng.standard_normal((12, *rig.neutral.shape))
    )
    found = BlendshapeFit(rig.neutral, rig.deltas, method="bounded")(frames).weights
    q, r = np.linalg.qr(rig.deltas.reshape(len(rig.deltas), -1).T.astype(float))
    expected = [
        lsq_linear(r, q.T @ (frame - rig.neutral).ravel(), (0, 1), method="bvls", tol=1e-14, max_iter=2000).x
        for frame in frames
    ]
    at_bounds = int(((found == 0) | (found == 1)).sum())
    print(
        f"bounded: {np.abs(found - expected).max():.1e} from scipy.optimize.lsq_linear, {at_bounds} of"
        f" {found.size} weights at a bound"
    )


def measure_movement(
    folder: Path, rig: Rig, rig_path: Path, weights: np.ndarray, rng: np.random.Generator
) -> None:
    """Print errors of weights and residuals of a head that moves, stabilised and not.

    And of one that does not move.
    """
    for moved, mode in ((False, "auto"), (True, "auto"), (True, "similarity"), (True, "none")):
        path = folder / "moved.mesh.h5"
        write_stream(path, rig, weights, rng=rng, moved=moved)
        found = fit(path, rig_path, stabilise=mode)
        error = found.weights - weights
        about = "turned by 20 degrees, moved by 5 cm" if moved else "at rest"
        parts = ", ".join(
            f"{name} {10 * np.sqrt(np.mean(values**2)):.3f}" for name, values in found.by_region.items()
        )
        root = np.sqrt(np.mean(error**2))
        print(
            f"head {about}, {mode} ({found.stabilised}): weight RMS {root:.4f}, largest"
            f" {np.abs(error).max():.3f}; residual, mm: {parts}"
        )


def measure_memory(
    folder: Path, rig: Rig, rig_path: Path, weights: np.ndarray, rng: np.random.Generator
) -> None:
    """Print the peak of a process that fits a short and a ten times longer stream."""
    code = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); from"
        " benchmarks.blendshapes import fit;fit(Path(sys.argv[1]), Path(sys.argv[2]), 2);"
        " print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    for num_frames in (500, 5000):
        path = folder / "long.mesh.h5"
        write_stream(path, rig, np.resize(weights, (num_frames, weights.shape[1])), rng=rng)
        command = [
            sys.executable,
            "-c",
            code,
            str(path),
            str(rig_path),
            str(Path(__file__).resolve().parents[1]),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"memory: {float(result.stdout.split()[-1]):.0f} MB at most for {num_frames} frames")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=2000, help="frames of the stream (default: 2000)")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of a read and a fit (default: 5)")
    parser.add_argument("--memory", action="store_true", help="measure memory, with a stream of 5,000 frames")
    arguments = parser.parse_args()
    real = os.environ.get("INTERACT_REAL_DATA")
    rig, curves = real_head(Path(real)) if real else simulated_head()
    rng = np.random.default_rng(0)
    print(
        f"{'ICT head, real curves' if real else 'simulated head and curves'}: {len(rig.neutral)} vertices,"
        f" {len(rig.deltas)} shapes,",
        end=" ",
    )
    print(
        f"condition {BlendshapeFit(rig.neutral, rig.deltas).condition:.0f}; {os.cpu_count()} cores,"
        f" {platform.processor() or platform.machine()}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, rig_path = folder / "stream.mesh.h5", folder / "rig.npz"
        save_rig(rig_path, rig)
        weights = np.resize(curves, (arguments.frames, curves.shape[1]))
        write_stream(path, rig, weights, rng=rng)
        print(f"{arguments.frames} frames, {path.stat().st_size / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}")
        ours_ms = compare_speed(path, rig_path, arguments.frames, arguments.repeats)
        with h5py.File(path) as f:
            frames = f["vertices"][:: max(1, arguments.frames // 4)][:4]
        compare_lsqr(rig, frames, ours_ms)
        compare_deficient(rig, frames)
        compare_bounded(rig, rng)
        measure_movement(folder, rig, rig_path, weights[:600], rng)
        if arguments.memory:
            measure_memory(folder, rig, rig_path, weights, rng)


if __name__ == "__main__":
    main()
