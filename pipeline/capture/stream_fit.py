"""Fit of a stream: a mesh stream's frames on an actor's rig, block by block.

In: a mesh stream (pipeline.formats.faces) and a rig. Out: for each frame ARKit weights, residuals in cm by
region, masked vertices, and the head's pose in the stream's space.

Where the head moves in the stream, it is brought to rest on the rig first (pipeline.capture.stabilise); the
solvers are those of pipeline.capture.blendshape_fit. Blocks are read and fitted on several threads.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import config, stage
from pipeline.capture import stabilise
from pipeline.capture.blendshape_fit import BlendshapeFit, Fitted, smooth
from pipeline.capture.stabilise import Pose
from pipeline.errors import InputError
from pipeline.formats import arkit, faces
from pipeline.formats.rig_file import REGIONS, Rig, load_rig, regions, used_vertices

log = logging.getLogger("interact")

PROBES = 16
"""Frames that are looked at to see whether the head moves at all."""


def face_parts(rig: Rig) -> dict[str, np.ndarray]:
    """Vertex indices of lips, eyes, brows and rest: each vertex that a face of the rig uses, once."""
    found, used = regions(rig), used_vertices(rig)
    parts: dict[str, np.ndarray] = {}
    for name in ("lips", "eyes", "brows"):
        parts[name] = np.setdiff1d(
            np.intersect1d(found[name], used), np.concatenate([used[:0], *parts.values()])
        )
    return parts | {"rest": np.setdiff1d(used, np.concatenate(list(parts.values())))}


def vertex_weights(rig: Rig, by_region: dict[str, float]) -> np.ndarray | None:
    """Weight (V,) of each vertex's squared error: that of its region, 1 elsewhere.

    None where no region has one.
    """
    if not by_region:
        return None
    found, weights = regions(rig), np.ones(len(rig.neutral))
    for name, weight in by_region.items():
        if name not in REGIONS or weight < 0:
            raise InputError(
                f"region_weights {name}: {weight}, need numbers of 0 or more for {', '.join(REGIONS)};"
                " correct the config"
            )
        weights[found[name]] = weight
    return weights


@dataclass
class StreamFit:
    """What a stream's frames gave: weights, residuals, masked vertices and head pose.

    weights (M, 51), residual (M,) in cm, by_region the same, masked vertices (M,).

    `neutral` (V, 3) are the vertices of the rig that its faces use. `moved` (M,) is how far the weights move
    the head's vertices, cm, root mean square over coordinates; `stabilised` is none, rigid or similarity.
    """

    weights: np.ndarray
    residual: np.ndarray
    by_region: dict[str, np.ndarray]
    masked: np.ndarray
    moved: np.ndarray
    pose: Pose
    stabilised: str
    neutral: np.ndarray


class _StreamFitter:
    """Stabilises and fits blocks of a stream."""

    def __init__(self, rig: Rig, options: config.Blendshapes, name: str):
        self.parts = face_parts(rig)
        weights = vertex_weights(rig, options.region_weights)
        self.fit = BlendshapeFit(
            rig.neutral,
            rig.deltas,
            method=options.method,
            regions=self.parts,
            vertex_weights=weights,
            fast=True,
        )
        for fault in self.fit.faults(list(arkit.NAMES)):
            log.warning(
                "%s: %s; rank %d of %d, weights are the minimum-norm solution",
                name,
                fault,
                self.fit.rank,
                len(arkit.NAMES),
            )
        self.rig, self.mode, self.still = rig, options.stabilise, np.empty(0, int)

    def prepare(self, stream: faces.FaceStream, first: int, stop: int) -> None:
        """Find the vertices that tell the head's pose, and in mode auto whether the head moves."""
        if self.mode == "none":
            return
        try:
            self.still = stabilise.still_vertices(self.rig)
        except InputError:
            if self.mode != "auto":
                raise
            self.mode = "none"
            return
        if self.mode == "auto":
            probes = np.unique(np.linspace(first, stop - 1, PROBES).astype(int))
            seen = np.concatenate(
                [
                    block[:, self.still]
                    for i in probes
                    for block in faces.blocks(stream, i, i + 1, block_frames=1)
                ]
            )
            moved = stabilise.moves(self.pose(seen), self.rig.neutral[self.still])
            self.mode = "rigid" if moved > stabilise.MOVED_CM else "none"
            log.info(
                "%s: the head moves by %.3f cm at its still vertices, stabilised: %s",
                stream.path.name,
                moved,
                self.mode,
            )

    def pose(self, points: np.ndarray) -> Pose:
        """Poses of still vertices (B, n, 3) of a stream."""
        return stabilise.estimate(points, self.rig.neutral[self.still], similarity=self.mode == "similarity")

    def stabilised(self, block: np.ndarray) -> tuple[np.ndarray, Pose]:
        """A block (B, V, 3) in the rig's space, and the poses that were taken off."""
        if self.mode == "none":
            return block, Pose(
                np.tile(np.eye(3), (len(block), 1, 1)), np.zeros((len(block), 3)), np.ones(len(block))
            )
        pose = self.pose(block[:, self.still])
        return pose.remove(block), pose

    def __call__(self, first: int, block: np.ndarray) -> tuple[Fitted, Pose]:
        """Fit and poses of a block (B, V, 3) of the stream."""
        block, pose = self.stabilised(block)
        return self.fit(block), pose


def _in_order(pool: ThreadPoolExecutor, function: Callable, items: Iterator, *, ahead: int) -> Iterator:
    """Results of `function` on the items in their order, computed by the pool ahead of their use.

    The next ones are read meanwhile, `ahead` at most.
    """
    waiting: deque[Future] = deque()
    for item in items:
        waiting.append(pool.submit(function, *item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def fit_stream(
    stream: faces.FaceStream,
    rig_path: Path,
    first: int,
    stop: int,
    *,
    options: config.Blendshapes,
    threads: int = 1,
) -> StreamFit:
    """Fit frames first..stop of a mesh stream, read block by block, `threads` blocks at a time."""
    from threadpoolctl import threadpool_limits

    rig = load_rig(rig_path)
    if stream.num_vertices != len(rig.neutral):
        raise InputError(
            f"{stream.path}: {stream.num_vertices} vertices a frame, the rig {rig_path.name} has"
            f" {len(rig.neutral)}; use the rig of the stream's topology"
        )
    fitter = _StreamFitter(rig, options, rig_path.name)
    fitter.prepare(stream, first, stop)

    def over_blocks(function: Callable) -> list:
        starts = range(0, stop - first, options.block_frames)
        blocks = zip(starts, faces.blocks(stream, first, stop, block_frames=options.block_frames))
        # one thread of linear algebra for each block: small products gain nothing from more
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            done = _in_order(pool, function, blocks, ahead=threads)
            return list(stage.progress(done, label=f"fit {stream.path.name}", total=len(starts)))

    fits, poses = zip(*over_blocks(fitter))
    weights = np.concatenate([fit.weights for fit in fits])
    if options.temporal:
        weights = _smoothed(weights, stream.seconds[first:stop], fitter.fit, options)
        fits = tuple(
            over_blocks(
                lambda start, block: fitter.fit.residuals(
                    fitter.stabilised(block)[0], weights[start : start + len(block)]
                )
            )
        )
    return StreamFit(
        weights,
        np.concatenate([fit.residual for fit in fits]),
        {name: np.concatenate([fit.by_region[name] for fit in fits]) for name in fitter.parts},
        np.concatenate([fit.masked for fit in fits]),
        fitter.fit.movement(weights),
        Pose(
            *(
                np.concatenate([getattr(pose, name) for pose in poses])
                for name in ("rotation", "translation", "scale")
            )
        ),
        fitter.mode,
        rig.neutral[used_vertices(rig)],
    )


def _smoothed(
    weights: np.ndarray, seconds: np.ndarray, fit: BlendshapeFit, options: config.Blendshapes
) -> np.ndarray:
    """Weights (M, 51) under the temporal term, each stretch of frames without gap by itself.

    Bounded weights are those in [0, 1] that cost least beside neighbours that are held where the unbounded
    solution has them.
    """
    strength = options.temporal * float(np.trace(fit.normal)) / len(fit.normal)
    usable = np.flatnonzero(np.isfinite(weights).all(1))
    result = weights.copy()
    if len(usable):
        gaps = np.diff(seconds[usable]) > 1.5 * np.median(np.diff(seconds))
        for stretch in np.split(usable, np.flatnonzero(gaps | (np.diff(usable) > 1)) + 1):
            result[stretch] = smooth(fit.normal, weights[stretch], strength)
    if options.method == "bounded":
        result[usable] = fit.bounded(result[usable], ridge=2 * strength)
    return result
