"""Blendshapes: face meshes to ARKit weights, by least squares on the actor's own shapes.

In: a mesh stream (HDF5, any rate) or a Live Link Face CSV, the actor's rig, the take's sync JSON. Out: weights (N, 51)
float32 at 30 fps in the common window, and a JSON with the residual. The stream is read in blocks.

For each frame the weights w minimise |x - neutral - sum_k w_k delta_k|^2 (paper, appendix A.4; unbounded there and
here). `normal` solves the normal equations of all frames with one factorisation, in float64, with the minimum-norm
solution where shapes depend on each other; `lsqr` is the paper's iterative solver, frame by frame.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import arkit, clock, config, faces, stage
from pipeline.clock_model import take_seconds
from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.rig_file import load_rig
from pipeline.sync_file import read_sync, stream_of
from pipeline.takes import actor_of

log = logging.getLogger("interact")
RANK_TOLERANCE = 1e-10
"""Eigenvalues of the normal matrix below this share of the largest count as zero."""


class BlendshapeFit:
    """The factorised problem of one rig: neutral (V, 3) and deltas (K, V, 3) in the unit of the vertices to come."""

    def __init__(self, neutral: np.ndarray, deltas: np.ndarray, *, method: str = "normal"):
        if deltas.ndim != 3 or deltas.shape[1:] != neutral.shape:
            raise InputError(f"rig: neutral {neutral.shape} and deltas {deltas.shape}, need (V,3) and (K,V,3); build the rig again")
        if method not in ("normal", "lsqr"):
            raise InputError(f"blendshape method {method!r}, need normal or lsqr")
        self.method = method
        self.neutral = np.asarray(neutral, float).reshape(-1)
        self.basis = np.asarray(deltas, float).reshape(len(deltas), -1)
        values, vectors = np.linalg.eigh(self.basis @ self.basis.T)
        used = values > RANK_TOLERANCE * max(values.max(), np.finfo(float).tiny)
        self.rank = int(used.sum())
        self.inverse = (vectors[:, used] / values[used]) @ vectors[:, used].T

    def __call__(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (B, K) and residual (B,), the root mean square over all coordinates, of vertices (B, V, 3).

        A frame with a NaN vertex gives NaN weights and a NaN residual.
        """
        offset = np.asarray(vertices, float).reshape(len(vertices), -1) - self.neutral
        if self.method == "normal":
            weights = (offset @ self.basis.T) @ self.inverse
        else:
            weights = np.stack([self._lsqr(frame) for frame in offset]) if len(offset) else np.empty((0, len(self.basis)))
        offset -= weights @ self.basis
        return weights, np.sqrt(np.einsum("ij,ij->i", offset, offset) / offset.shape[1])

    def _lsqr(self, offset: np.ndarray) -> np.ndarray:
        from scipy.sparse.linalg import lsqr

        if not np.isfinite(offset).all():
            return np.full(len(self.basis), np.nan)
        return lsqr(self.basis.T, offset, atol=1e-10, btol=1e-10, iter_lim=1000)[0]


def fit_blendshapes(vertices: np.ndarray, neutral: np.ndarray, deltas: np.ndarray, *, method: str = "normal") -> tuple[np.ndarray, np.ndarray]:
    """Weights (T, K) and residual (T,) of vertices (T, V, 3) on neutral (V, 3) and shape deltas (K, V, 3).

    The residual is the root mean square over a frame's coordinates, in the unit given. Raises InputError when the
    vertex counts differ.
    """
    if vertices.ndim != 3 or vertices.shape[1:] != neutral.shape:
        raise InputError(f"face stream has {vertices.shape[1:]} vertices a frame, the rig {neutral.shape}; use the rig of the stream's topology")
    fit = BlendshapeFit(neutral, deltas, method=method)
    parts = [fit(vertices[i : i + 64]) for i in range(0, len(vertices), 64)] or [(np.empty((0, len(deltas))), np.empty(0))]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def fit_stream(stream: faces.FaceStream, rig_path: Path, first: int, stop: int, *, options: config.Blendshapes) -> tuple[np.ndarray, np.ndarray]:
    """Weights (M, 51) and residuals (M,) in cm of frames first..stop of a mesh stream, read block by block."""
    rig = load_rig(rig_path)
    if stream.num_vertices != len(rig.neutral):
        raise InputError(
            f"{stream.path}: {stream.num_vertices} vertices a frame, the rig {rig_path.name} has {len(rig.neutral)}; "
            "use the rig of the stream's topology"
        )
    fit = BlendshapeFit(rig.neutral, rig.deltas, method=options.method)
    if fit.rank < len(arkit.NAMES):
        log.warning(
            "%s: shapes depend on each other, rank %d of %d; weights are the minimum-norm solution", rig_path.name, fit.rank, len(arkit.NAMES)
        )
    weights, residual = np.empty((stop - first, len(arkit.NAMES))), np.empty(stop - first)
    parts = range(0, stop - first, options.block_frames)
    blocks = faces.blocks(stream, first, stop, block_frames=options.block_frames)
    for i, block in stage.progress(zip(parts, blocks), label=f"fit {stream.path.name}", total=len(parts)):
        weights[i : i + len(block)], residual[i : i + len(block)] = fit(block)
    return weights, residual


def run(*, face: Path, rig: Path | None, sync: Path, performance: str, out: Path, out_report: Path, options: config.Blendshapes) -> None:
    """Fit one performance's face and write weights and report."""
    take = read_sync(sync)
    where = f"take {take['take']}, actor {actor_of(performance)}: {face.name}"
    record = stream_of(take, performance, "face", where=where)
    stream = faces.open_face(face, rate=record["rate"])
    seconds, single = take_seconds(stream.seconds, record, where=where)
    times = clock.frame_times(take["start_seconds"], take["frames"], take["fps"])
    # a gap may reach over the window's edges, and so does the low-pass
    margin = options.max_gap_seconds + clock.LOW_PASS_LOBES / take["fps"]
    first = max(int(np.searchsorted(seconds, times[0] - margin, side="right")) - 2, 0)
    stop = min(int(np.searchsorted(seconds, times[-1] + margin)) + 2, len(seconds))
    if not stream.is_mesh:
        weights, residual = faces.live_link_weights(face)[first:stop], None
    elif rig is None:
        raise InputError(f"{where}: a mesh stream needs the actor's rig; give --rig")
    else:
        weights, residual = fit_stream(stream, rig, first, stop, options=options)
    usable = np.isfinite(weights).all(1)
    used = usable & single[first:stop]
    brought = clock.at_times(weights[used], seconds[first:stop][used], times, max_gap_seconds=options.max_gap_seconds, where=where)
    with whole(out) as temporary:
        np.save(temporary, brought.astype(np.float32))
    report: dict[str, Any] = {
        "performance": performance,
        "source": "mesh" if stream.is_mesh else "live link",
        "nan_frames_interpolated": int((~usable).sum()),
    }
    if residual is not None:
        r = residual[usable]
        report |= {
            "residual_rms_cm": float(np.sqrt(np.mean(r**2))),
            "residual_max_cm": float(r.max()),
            "vertices": stream.num_vertices,
            "method": options.method,
        }
    log.info("%s: %s", performance, report)
    write_json(out_report, report)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Blendshapes)
    parser.add_argument("--face", type=Path, required=True, help="mesh stream (.mesh.h5) or Live Link Face recording (.csv)")
    parser.add_argument("--rig", type=Path, help="rig of the actor (.npz); a CSV needs none")
    parser.add_argument("--sync", type=Path, required=True, help="the take's sync JSON")
    parser.add_argument("--performance", required=True, help="<date>_<actor>_<scenario>")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.npy)")
    parser.add_argument("--out-report", type=Path, required=True, help="JSON to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
