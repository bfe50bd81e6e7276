"""Blendshapes: face meshes to ARKit weights, by least squares on the actor's own shapes.

In: a mesh stream (any of pipeline.formats.faces, any rate) or a Live Link Face CSV, the rig of a mesh's
actor, the take's sync JSON. Out: weights (N, 51) float32 at 30 fps in the common window; the head's pose (N,
7) float32 in the stream's space, x y z in cm and a quaternion x y z w; and a JSON with residuals, by region,
and what was mended.

    python -m pipeline.capture.blendshapes FACE.csv --out WEIGHTS.npy
    python -m pipeline.capture.blendshapes FACE.mesh.h5 --rig RIG.npz --out WEIGHTS.npy --out-report FIT.json

Without --sync, the stream has its own clock (pipeline.capture.own_clock), and the weights go from its first
usable frame to its last. A mesh stream is fitted by pipeline.capture.stream_fit,
with the solvers of pipeline.capture.blendshape_fit.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config, stage
from pipeline.capture import face_quality, own_clock
from pipeline.capture.blendshape_fit import BlendshapeFit
from pipeline.capture.stream_fit import StreamFit, fit_stream
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats import faces, live_link
from pipeline.formats.sync_file import read_sync, recorded_marks, same_file, stream_of
from pipeline.formats.takes import actor_of
from pipeline.motion import clock, rotations
from pipeline.motion.clock_model import take_seconds
from pipeline.run_report import write_report

log = logging.getLogger("interact")
NAMED = 8
"""Frames with the largest residual, and frames that move most, that the report names."""
APART_SECONDS = 0.5
"""Two frames that the report names are so far apart, or they would show one moment."""


def fit_blendshapes(
    vertices: np.ndarray, neutral: np.ndarray, deltas: np.ndarray, *, method: str = "normal"
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (T, K) and residual (T,) of vertices (T, V, 3) on neutral (V, 3) and shape deltas (K, V, 3).

    `method` is normal, lsqr or bounded (pipeline.capture.blendshape_fit). The residual is the root mean
    square over a frame's coordinates, in the unit given. NaN vertices are left out; a frame that lacks too
    many is NaN. All is float64. Raises InputError when the vertex counts differ.
    """
    if vertices.ndim != 3 or vertices.shape[1:] != neutral.shape:
        raise InputError(
            f"face stream has {vertices.shape[1:]} vertices a frame, the rig {neutral.shape}; use the rig of"
            " the stream's topology"
        )
    fit = BlendshapeFit(neutral, deltas, method=method)
    parts = [fit(vertices[i : i + 64]) for i in range(0, len(vertices), 64)] or [fit(vertices)]
    return np.concatenate([part.weights for part in parts]), np.concatenate([part.residual for part in parts])


def _write(path: Path, array: np.ndarray) -> None:
    with whole(path) as temporary:
        np.save(temporary, array.astype(np.float32))


@dataclass(frozen=True)
class _Placed:
    """A face stream and where it lies.

    Its record in the sync JSON, and the dataset's times (N,), None where it has only its own clock.
    """

    name: str
    where: str
    stream: faces.FaceStream
    record: dict
    times: np.ndarray | None


def _place(
    face: Path,
    sync: Path | None,
    performance: str | None,
    *,
    rate: float | None,
    timecode_rate: float | None,
    units: str | None,
    fps: float | None,
) -> _Placed:
    """The stream of a performance by its take's sync, or one alone by its own clock."""
    if sync is None or performance is None:
        if sync or performance:
            raise InputError(
                f"{face.name}: got --sync or --performance alone, need both for a face of a take, or neither;"
                " correct the command"
            )
        stream, record = own_clock.open_face(
            face, rate=rate, timecode_rate=timecode_rate, units=units, where=face.name
        )
        return _Placed(own_clock.name_of(face), face.name, stream, record, None)
    if any(given is not None for given in (rate, timecode_rate, units, fps)):
        raise InputError(
            f"{face.name}: got --rate, --timecode-rate, --units or --fps beside --sync, which says them;"
            " correct the command"
        )
    take = read_sync(sync)
    where = f"take {take['take']}, actor {actor_of(performance)}: {face.name}"
    record = stream_of(take, performance, "face", where=where)
    same_file(record, face, where=where)
    stream = faces.open_face(face, rate=record["rate"], timecode_rate=record.get("timecode_rate"))
    return _Placed(
        performance,
        where,
        stream,
        record,
        clock.frame_times(take["start_seconds"], take["frames"], take["fps"]),
    )


def run(
    *,
    face: Path,
    rig: Path | None = None,
    sync: Path | None = None,
    performance: str | None = None,
    out: Path,
    out_report: Path | None = None,
    options: config.Blendshapes,
    out_pose: Path | None = None,
    threads: int = 1,
    rate: float | None = None,
    timecode_rate: float | None = None,
    units: str | None = None,
    fps: float | None = None,
) -> None:
    """Fit one performance's face, or a stream by itself, and write weights, head pose and report."""
    placed = _place(face, sync, performance, rate=rate, timecode_rate=timecode_rate, units=units, fps=fps)
    where, stream, times = placed.where, placed.stream, placed.times
    seconds, single = take_seconds(stream.seconds, placed.record, where=where)
    first, stop = 0, len(seconds)
    if times is not None:
        # a gap may reach over the window's edges, and so does the low-pass
        margin = options.max_gap_seconds + clock.LOW_PASS_LOBES / clock.FPS
        first = max(int(np.searchsorted(seconds, times[0] - margin, side="right")) - 2, 0)
        stop = min(int(np.searchsorted(seconds, times[-1] + margin)) + 2, len(seconds))
    report: dict[str, Any] = {
        "performance": placed.name,
        "source": "mesh" if stream.is_mesh else "live link",
        "rate": placed.record["rate"],
    }
    if times is not None:
        report["made_of"] = recorded_marks(placed.record)
    seconds, single = seconds[first:stop], single[first:stop]
    found = None
    if stream.is_mesh:
        if rig is None:
            raise InputError(f"{where}: a mesh stream needs the actor's rig; give --rig")
        found = fit_stream(stream, rig, first, stop, options=options, threads=threads)
        usable = np.isfinite(found.weights).all(1) & np.isfinite(found.pose.translation).all(1)
        weights, pose = found.weights, found.pose
    else:
        weights = live_link.read_weights(face)[first:stop]
        face_quality.refuse_percent(weights, where=where)
        usable, pose = np.isfinite(weights).all(1), None
        report |= {"nan_frames_interpolated": int((~usable).sum()), "stabilised": "none"}
    used = usable & single
    if times is None:
        times = clock.own_times(seconds[used], fps or clock.FPS, where=where)
    if found is not None:
        report |= _about(found, usable, seconds - times[0], first, stream, options)
        face_quality.refuse_no_face(report.get("residual_rms_cm"), found.neutral, where=where)
    bring: dict[str, Any] = {"max_gap_seconds": options.max_gap_seconds, "where": where}
    if placed.times is None:
        bring["fix"] = "mend the stream, or raise blendshapes.max_gap_seconds"
    brought = clock.at_times(weights[used], seconds[used], times, **bring)
    if stream.is_mesh and options.method == "bounded":
        brought = np.clip(brought, 0.0, 1.0)  # the low-pass swings a little beyond what it is given
    poses = np.tile([0.0, 0, 0, 0, 0, 0, 1], (len(times), 1))
    if pose is not None and report["stabilised"] != "none":
        poses[:, :3] = clock.at_times(pose.translation[used], seconds[used], times, **bring)
        turns = rotations.continuous(rotations.from_matrix(pose.rotation[used]))
        poses[:, 3:] = rotations.slerp(turns, clock.positions_in(times, seconds[used], **bring))
    for text in face_quality.warnings(brought, report):
        log.warning("%s", text)
    _write(out, brought)
    if out_pose:
        _write(out_pose, poses)
    log.info(
        "%s: %s",
        placed.name,
        {key: value for key, value in report.items() if key not in ("worst", "extreme")},
    )
    if placed.times is None:
        log.info(
            "%s: %d frames at %g fps, %.2f s",
            out,
            len(times),
            fps or clock.FPS,
            len(times) / (fps or clock.FPS),
        )
    if out_report:
        write_report(out_report, report)


def _peaks(values: np.ndarray, seconds: np.ndarray) -> list[int]:
    """Indices of the NAMED largest finite `values` (M,), each APART_SECONDS or more from those before it."""
    chosen: list[int] = []
    for i in np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable"):
        if len(chosen) == NAMED or not np.isfinite(values[i]):
            break
        if all(abs(seconds[i] - seconds[j]) >= APART_SECONDS for j in chosen):
            chosen.append(int(i))
    return chosen


def _about(
    found: StreamFit,
    usable: np.ndarray,
    seconds: np.ndarray,
    first: int,
    stream: faces.FaceStream,
    options: config.Blendshapes,
) -> dict[str, Any]:
    """What the report says of a mesh stream's fit.

    `seconds` (M,) of its frames, from `first` on, count from the take's first.
    """

    def rms(values: np.ndarray) -> float | None:
        known = values[usable & np.isfinite(values)]
        return float(np.sqrt(np.mean(known**2))) if len(known) else None

    about: dict[str, Any] = {
        "nan_frames_interpolated": int((~usable).sum()),
        "frames_with_masked_vertices": int((usable & (found.masked > 0)).sum()),
        "vertices": stream.num_vertices,
        "method": options.method,
        "stabilised": found.stabilised,
    }
    if usable.any():
        residual = np.where(usable, found.residual, np.nan)
        moved = np.where(usable, found.moved, np.nan)
        moments = {"worst": _peaks(residual, seconds), "extreme": _peaks(moved, seconds)}
        middle = rotations.from_matrix(found.pose.rotation[usable])
        turned = 2 * np.rad2deg(np.arccos(np.clip(np.abs(middle @ middle[0]), 0, 1)))
        about |= {
            "residual_rms_cm": rms(found.residual),
            "residual_max_cm": float(np.nanmax(residual)),
            "residual_cm": {name: rms(values) for name, values in found.by_region.items()},
            **{
                key: [
                    {"frame": first + i, "seconds": float(seconds[i]), "residual_cm": float(residual[i])}
                    for i in chosen
                ]
                for key, chosen in moments.items()
            },
            "head_turned_deg": float(turned.max()),
            "head_moved_cm": float(np.ptp(found.pose.translation[usable], axis=0).max()),
        }
    return about


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Blendshapes)
    stage.add_files(
        parser, "face", help="mesh stream (.mesh.h5, .npy, folder of .obj) or Live Link Face recording (.csv)"
    )
    parser.add_argument("--rig", type=Path, help="rig of the actor (.npz); a CSV needs none")
    parser.add_argument(
        "--sync", type=Path, help="the take's sync JSON; without it the stream has its own clock"
    )
    parser.add_argument("--performance", help="<date>_<actor>_<scenario>, with --sync")
    parser.add_argument(
        "--rate",
        type=float,
        help="frames per second of a stream without timecode, where it does not say them; without --sync",
    )
    parser.add_argument(
        "--timecode-rate",
        type=float,
        help="what a CSV's timecode counts at (default: judged by it, else 60); without --sync",
    )
    parser.add_argument(
        "--units",
        choices=list(faces.UNITS_CM),
        help="unit of length of vertices that nothing describes; without --sync",
    )
    parser.add_argument("--fps", type=float, help="frames per second to write (default: 30); without --sync")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.npy)")
    parser.add_argument("--out-pose", type=Path, help="head pose to write (.npy)")
    parser.add_argument("--out-report", type=Path, help="JSON to write")
    parser.add_argument(
        "--threads", type=int, default=1, help="blocks that are fitted at a time (default: 1)"
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
