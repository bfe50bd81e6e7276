"""How well an actor's rig made by deformation transfer fits the actor's frames.

Beside the true rig and copied deltas.

    python benchmarks/rig_transfer.py

The generic rig is the ICT head with 51 ARKit shapes; weights are frames of a real iPhone recording. An actor
is that head, or one of the kit's identities, under a stretch f of space: true neutral f(neutral), true delta
f(neutral + delta) - f(neutral). Frames are the true rig's with 0.1 mm of noise per coordinate. Each rig fits
them on the true neutral. Prints a row per actor and rig: errors of weights, of the reconstruction against the
frames without noise, and of the deltas (RMS distance per vertex, mm), over all vertices, the face (what
shapes move by 1 mm) and the lips.

Beside the transferred rig: the smooth map alone (its correction left out), Sumner and Popovic's problem with
their gradients as they are, and the same with edges moved by each triangle's own J.

The kit's identities alone have no true shapes. What can be said is whether lids and lips that the generic
shapes close are closed by the actor's: RMS change, against the generic rig, of the vector between vertices
that meet.
"""

import argparse
import importlib.util
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pipeline.capture.blendshapes import fit_blendshapes
from pipeline.formats import arkit
from pipeline.formats.rig_file import Rig, regions
from pipeline.rigs import deformation_transfer as transfer

ROOT = Path(__file__).resolve().parents[1]
NOISE_CM = 0.01
CLOSED_CM, OPEN_CM = 0.08, 0.6
CLOSING = {
    "eyeBlink": (("eyeBlinkLeft", "eyeBlinkRight"), ()),
    "jawOpen + mouthClose": (("jawOpen", "mouthClose"), ("jawOpen",)),
}
"""Shapes that close something, and those of them with which it is open."""


def axes(x: np.ndarray) -> np.ndarray:
    """Another scale along each axis."""
    return x * [1.1, 0.93, 1.05]


def jaw(x: np.ndarray) -> np.ndarray:
    """Scales that change with height: a wider, shorter, deeper jaw under much the same forehead."""
    low = 1 / (1 + np.exp((x[..., 1:2] + 2) / 3))
    return x * (np.array([1.02, 1.05, 0.96]) + low * [0.16, -0.12, 0.10])


def features(x: np.ndarray) -> np.ndarray:
    """A mouth and eyes that are 20 to 25 % larger than a head with other proportions asks for.

    Within 2 cm of their centres.
    """
    result = x * [0.95, 1.06, 1.02]
    for centre, scale in (
        ((0, -2.3, 10), (0.25, 0.25, 0.15)),
        ((3.2, 3.6, 9), (0.2, 0.2, 0)),
        ((-3.2, 3.6, 9), (0.2, 0.2, 0)),
    ):
        away = x - centre
        result = result + np.exp(-0.5 * (away**2).sum(-1, keepdims=True) / 2**2) * away * scale
    return result


def sumner_popovic(rig: Rig, target: np.ndarray, *, own_jacobian: bool = False) -> np.ndarray:
    """Deltas (51, V, 3) by the triangles alone.

    Gradients copied as they are, or motion of edges turned by each triangle's J.

    Vertices that no shape moves are held. Elsewhere the result is pulled to the copied deltas, or to those of
    the heads' overall affine map, so weakly that only the mean motion of components that hold no vertex is
    decided by it.
    """
    neutral, target = rig.neutral.astype(float), target.astype(float)
    corners = transfer.split_faces(rig.faces, len(neutral))
    corners = corners[
        transfer.well_shaped(transfer.edges(neutral, corners))
        & transfer.well_shaped(transfer.edges(target, corners))
    ]
    travel = np.linalg.norm(rig.deltas, axis=2).max(0)
    solve = transfer.EdgeFit(
        target, corners, travel > transfer.UNMOVED * travel.max(), reach=100 * np.std(target)
    )
    inverse = np.linalg.inv(transfer.with_normal(transfer.edges(neutral, corners)))
    there = transfer.edges(target, corners)
    overall = (
        np.linalg.lstsq(neutral - neutral.mean(0), target - target.mean(0))[0] if own_jacobian else np.eye(3)
    )
    result = np.empty(rig.deltas.shape)
    for k, delta in enumerate(rig.deltas.astype(float)):
        if own_jacobian:
            wanted = transfer.with_normal(there) @ inverse @ transfer.edges(delta, corners)
        else:
            wanted = (
                transfer.with_normal(transfer.edges(neutral + delta, corners)) @ inverse - np.eye(3)
            ) @ there
        start = delta @ overall
        result[k] = start + solve(wanted - transfer.edges(start, corners))
    return result


def smooth_only(rig: Rig, target: np.ndarray) -> np.ndarray:
    """Deltas (51, V, 3) moved by the smooth map's Jacobian."""
    return np.einsum("vij,kvj->kvi", transfer.smooth_jacobian(rig.neutral.astype(float), target), rig.deltas)


def transferred(rig: Rig, target: np.ndarray) -> np.ndarray:
    """Deltas (51, V, 3) by the pipeline."""
    return transfer.transfer_deltas(rig.neutral, rig.faces, rig.deltas, target)


RIGS: dict[str, Callable[[Rig, np.ndarray], np.ndarray]] = {
    "transferred": transferred,
    "copied": lambda rig, target: rig.deltas,
    "smooth map alone": smooth_only,
    "gradients Q": sumner_popovic,
    "own J": lambda rig, target: sumner_popovic(rig, target, own_jacobian=True),
}


def rms(x: np.ndarray) -> float:
    """Root mean square length of vectors (..., 3)."""
    return float(np.sqrt((x.astype(float) ** 2).sum(-1).mean()))


def score(
    true_neutral: np.ndarray,
    true: np.ndarray,
    deltas: np.ndarray,
    weights: np.ndarray,
    places: list,
    seed: int,
) -> list[float]:
    """Weight RMS, then reconstruction and delta RMS in mm over each of the places."""
    found = []
    for first in range(0, len(weights), 64):
        clean = true_neutral + np.tensordot(weights[first : first + 64], true, 1)
        noise = NOISE_CM * np.random.default_rng([seed, first]).standard_normal(clean.shape)
        fitted, _ = fit_blendshapes(clean + noise, true_neutral, deltas)
        error = true_neutral + np.tensordot(fitted, deltas, 1) - clean
        found.append(
            [
                len(fitted) * np.mean((fitted - weights[first : first + 64]) ** 2),
                *(len(fitted) * rms(error[:, place]) ** 2 for place in places),
            ]
        )
    weight, *reconstruction = np.sqrt(np.sum(found, 0) / len(weights))
    return [
        weight,
        *(10 * x for x in reconstruction),
        *(10 * rms((deltas - true)[:, place]) for place in places),
    ]


def meeting(rig: Rig, closing: tuple[str, ...], opened: tuple[str, ...]) -> np.ndarray:
    """Pairs (n, 2) of vertices of the skin that `closing` shapes bring together.

    `opened` ones leave them apart; the skin is the largest component.
    """
    closed, apart = (pose(rig.neutral, rig.deltas, names) for names in (closing, opened))
    corners = transfer.split_faces(rig.faces, len(rig.neutral))
    links = sparse.coo_array(
        (np.ones(2 * len(corners)), (np.repeat(corners[:, 0], 2), corners[:, 1:].ravel())),
        shape=2 * (len(rig.neutral),),
    )
    _, component = connected_components(links, directed=False)
    skin = component == np.bincount(component).argmax()
    pairs = cKDTree(closed).query_pairs(CLOSED_CM, output_type="ndarray")
    return pairs[
        skin[pairs].all(1) & (np.linalg.norm(apart[pairs[:, 0]] - apart[pairs[:, 1]], axis=1) > OPEN_CM)
    ]


def pose(neutral: np.ndarray, deltas: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Vertices (V, 3) with the named shapes at weight 1."""
    return neutral + sum(deltas[arkit.NAMES.index(name)] for name in names)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(os.environ.get("INTERACT_REAL_DATA", ROOT.parent / "shared" / "real"))
    parser.add_argument(
        "--real-data",
        type=Path,
        default=default,
        help="folder of the real recordings (default: INTERACT_REAL_DATA)",
    )
    parser.add_argument(
        "--frames", type=int, default=300, help="frames of the recording, evenly spread (default: 300)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: 0)")
    arguments = parser.parse_args()
    source = arguments.real_data / "make_shoot.py"
    if not source.exists():
        parser.error(f"no real recordings at {arguments.real_data}; set INTERACT_REAL_DATA")
    spec = importlib.util.spec_from_file_location("make_shoot", source)
    make_shoot = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_shoot)
    neutral, identities, names, deltas, faces = make_shoot.arkit_rig()
    rig = Rig(neutral, deltas[arkit.rig_order(names, "ICT")], faces)
    _, _, curves = make_shoot.read_live_link(arguments.real_data / "face" / "llf_take_a.csv")
    weights = np.stack([curves[name] for name in arkit.NAMES], 1)
    weights = weights[np.linspace(0, len(weights) - 1, arguments.frames).round().astype(int)]
    face = np.flatnonzero(np.linalg.norm(rig.deltas, axis=2).max(0) > 0.1)
    places = [slice(None), face, regions(rig)["lips"]]
    heads = {"": neutral.astype(float)} | {
        f"identity {i} + ": neutral + 0.8 * x for i, x in enumerate(identities.astype(float))
    }

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, begin_cpu = time.perf_counter(), time.process_time()
    transferred(rig, jaw(heads[""]))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"transfer of {len(neutral)} vertices x {len(rig.deltas)} shapes: {seconds:.1f} s, {cpu:.1f} s of"
        f" processor, {memory:.0f} MB more at peak\n"
    )

    print(f"{'':<40}{'weight':>9}   {'reconstruction, mm':<27}{'deltas, mm':<27}{'copied / this: weight,'}")
    print(
        f"{'actor':<20}{'rig':<20}{'RMS':>9}"
        + f"{'all':>9}{'face':>9}{'lips':>9}" * 2
        + "   reconstruction and deltas all, lips"
    )
    actors = [("", axes), ("", jaw), ("", features), ("identity 0 + ", jaw), ("identity 1 + ", axes)]
    for head, stretch in actors:
        base = heads[head]
        target = stretch(base)
        true = np.stack([stretch(base + delta) - target for delta in rig.deltas.astype(float)])
        rigs = {"true": true} | {name: make(rig, target) for name, make in RIGS.items()}
        rows = {
            name: score(target, true, made, weights, places, arguments.seed) for name, made in rigs.items()
        }
        for name, row in rows.items():
            ratios = "  ".join(
                f"{rows['copied'][i] / row[i]:.1f}" if row[i] > 1e-6 else "exact" for i in (0, 1, 3, 4, 6)
            )
            print(
                f"{head + stretch.__name__:<20}{name:<20}{row[0]:>9.5f}"
                + "".join(f"{x:>9.4f}" for x in row[1:])
                + f"   {ratios}",
                flush=True,
            )

    print(f"\n{'what closes':<24}{'actor':<20}{'rig':<20}{'change, mm':>12}")
    for what, (closing, opened) in CLOSING.items():
        pairs = meeting(rig, closing, opened)
        wanted = np.subtract(*pose(rig.neutral, rig.deltas, closing)[pairs.T])
        for head, target in list(heads.items())[1:]:
            for name, make in RIGS.items():
                got = np.subtract(*pose(target, make(rig, target), closing)[pairs.T])
                print(f"{what:<24}{head[:-3]:<20}{name:<20}{10 * rms(got - wanted):>12.3f}", flush=True)


if __name__ == "__main__":
    main()
