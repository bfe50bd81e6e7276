"""The metrics of the paper's tables, on plain arrays.

Bodies have Frechet distances and diversities, faces have LVE and FDD.

In: generated and real motion as arrays (radians for joints, centimetres for meshes; any unit works, results
follow it). Out: numbers, equal to those of the public reference code (audio2photoreal's evaluation for
bodies, DiffSpeaker's for faces). numpy only. What cannot be measured (NaN, too few rows, shapes that do not
fit) is an ArrayError.
"""

import numpy as np

from pipeline.errors import InputError


class ArrayError(InputError, ValueError):
    """Arrays that a metric cannot be computed on; says what was got and what is needed."""


def _finite(value, name: str, num_axes: int) -> np.ndarray:
    """`value` as a float64 array with `num_axes` axes and only finite numbers."""
    array = np.asarray(value, np.float64)
    if array.ndim != num_axes:
        raise ArrayError(f"{name}: got shape {array.shape}, need {num_axes} axes; reshape it")
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise ArrayError(
            f"{name}: got {bad} of {array.size} values that are NaN or infinite, need finite numbers; mend or"
            " leave out those frames"
        )
    return array


def _moments(rows: np.ndarray, *, repeats: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D), ddof 1, of rows (N, D) that each count `repeats` times."""
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred * (repeats / (repeats * len(rows) - 1))


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix (D, D)."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def frechet_of_moments(
    mean_x: np.ndarray, covariance_x: np.ndarray, mean_y: np.ndarray, covariance_y: np.ndarray
) -> float:
    """Squared 2-Wasserstein distance of two Gaussians, |mx - my|^2 + tr(Cx + Cy - 2 (Cx Cy)^(1/2)).

    See Dowson and Landau 1982. Means (D,), covariances (D, D), both symmetric and positive semidefinite. The
    trace of the root is the sum of the singular values of Cx^(1/2) Cy^(1/2), which stays real and exact for
    singular covariances, where a general matrix square root does not.
    """
    cross = np.linalg.svd(_root(covariance_x) @ _root(covariance_y), compute_uv=False).sum()
    difference = np.asarray(mean_x) - np.asarray(mean_y)
    return float(difference @ difference + np.trace(covariance_x) + np.trace(covariance_y) - 2 * cross)


def _frechet(x: np.ndarray, y: np.ndarray, *, repeats_y: int = 1) -> float:
    for name, rows, count in (("x", x, len(x)), ("y", y, len(y) * repeats_y)):
        if count < 2:
            raise ArrayError(
                f"frechet_distance, {name}: got {len(rows)} rows, need 2 or more for a covariance;"
                " give more samples"
            )
    if x.shape[1] != y.shape[1]:
        raise ArrayError(
            f"frechet_distance: got rows of {x.shape[1]} and {y.shape[1]} values, need the same number;"
            " use the same channels"
        )
    return frechet_of_moments(*_moments(x), *_moments(y, repeats=repeats_y))


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance of two sets of rows (N, D) and (M, D).

    Each set is described by its mean and covariance (ddof 1). In squared units of the values; not clipped, so
    two equal sets may give -1e-12. ArrayError (also a ValueError) for NaN, fewer than two rows, or another
    number of columns.
    """
    return _frechet(_finite(x, "frechet_distance, x", 2), _finite(y, "frechet_distance, y", 2))


def _pair_distance(rows: np.ndarray, num_pairs: int, rng) -> float:
    """Mean L2 distance over `num_pairs` pairs of rows: two draws without replacement, paired by position."""
    first = rng.choice(len(rows), num_pairs, replace=False)
    second = rng.choice(len(rows), num_pairs, replace=False)
    return float(np.linalg.norm(rows[first] - rows[second], axis=1).mean())


def body_metrics(generated: np.ndarray, real: np.ndarray, *, rng, num_pairs: int = 10_000) -> dict:
    """Realism and diversity of generated bodies, as Ng et al. 2024 (audio2photoreal) compute them.

    generated: (S, Q, T, D), S samples of Q sequences of T frames; real: (Q, T, D), which counts S times; both
    in the same units (radians for exponential maps), not standardised. rng: numpy Generator or RandomState;
    only `choice` is called, twice.

    FD_g: Frechet distance of the pooled frames. FD_k: the same of differences of successive frames of a
    sequence, per frame, not per second. Div_g: mean L2 distance of `num_pairs` random pairs of pooled
    generated frames. Div_k: variance over time (ddof 0) of the generated poses, averaged over samples,
    sequences and channels. Div_sample: variance over the S samples (ddof 0), averaged over sequences, frames
    and channels; 0 for one sample. Also num_pairs, the pairs really drawn (all rows where there are fewer
    than asked for), and num_rows.
    """
    generated = _finite(generated, "body_metrics, generated", 4)
    real = _finite(real, "body_metrics, real", 3)
    if generated.shape[1:] != real.shape:
        raise ArrayError(
            f"body_metrics: got generated {generated.shape} and real {real.shape}, need (S, Q, T, D) and (Q,"
            " T, D); cut both to the same sequences"
        )
    samples, _, frames, channels = generated.shape
    if not generated.size or frames < 2:
        raise ArrayError(
            f"body_metrics: got shape {generated.shape}, need samples, sequences, channels and 2 or more"
            " frames; give longer sequences"
        )
    if num_pairs < 1:
        raise ArrayError(f"body_metrics: got num_pairs {num_pairs}, need 1 or more; 10000 is usual")
    rows = generated.reshape(-1, channels)
    steps = np.diff(generated, axis=2).reshape(-1, channels)
    num_pairs = min(int(num_pairs), len(rows))
    return {
        "FD_g": _frechet(rows, real.reshape(-1, channels), repeats_y=samples),
        "FD_k": _frechet(steps, np.diff(real, axis=1).reshape(-1, channels), repeats_y=samples),
        "Div_g": _pair_distance(rows, num_pairs, rng),
        "Div_k": float(generated.var(axis=2).mean()),
        "Div_sample": float(generated.var(axis=0).mean()),
        "num_pairs": num_pairs,
        "num_rows": len(rows),
    }


def _region(index, num_vertices: int, name: str) -> np.ndarray:
    """Vertex indices of a region given as indices or as a boolean mask over the vertices."""
    index = np.asarray(index)
    if index.dtype == bool:
        if index.shape != (num_vertices,):
            raise ArrayError(
                f"{name}: got a mask of shape {index.shape}, need ({num_vertices},); one value per vertex"
            )
        index = np.flatnonzero(index)
    if index.ndim != 1 or not len(index) or not np.issubdtype(index.dtype, np.integer):
        raise ArrayError(
            f"{name}: got shape {index.shape} of {index.dtype}, need a list of vertex indices;"
            " name the region's vertices"
        )
    if index.min() < 0 or index.max() >= num_vertices:
        raise ArrayError(
            f"{name}: got indices {index.min()} to {index.max()}, need 0 to {num_vertices - 1}; use the"
            " regions of this mesh"
        )
    return index


def _meshes(predicted, real, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Both meshes (T, V, 3), of the same shape.

    The public code cuts to the shorter, which hides a shift in time.
    """
    predicted, real = _finite(predicted, f"{name}, predicted", 3), _finite(real, f"{name}, real", 3)
    if predicted.shape != real.shape or predicted.shape[-1] != 3 or not predicted.size:
        raise ArrayError(
            f"{name}: got predicted {predicted.shape} and real {real.shape}, need the same (T, V, 3); cut"
            " both to the same frames"
        )
    return predicted, real


def lip_vertex_error(
    predicted: np.ndarray, real: np.ndarray, lip: np.ndarray, *, squared: bool = True
) -> float:
    """LVE of one sequence: the largest error among the lip vertices of a frame, averaged over frames.

    DiffSpeaker defines it so. predicted, real: (T, V, 3); lip: vertex indices or mask. The error of a vertex
    is its SQUARED distance as in the public code (cm^2 for meshes in cm); squared=False takes distances (cm),
    as the paper's wording reads.
    """
    predicted, real = _meshes(predicted, real, "lip_vertex_error")
    lip = _region(lip, real.shape[1], "lip_vertex_error, lip")
    error = np.square(real[:, lip] - predicted[:, lip]).sum(-1)
    return float((error if squared else np.sqrt(error)).max(1).mean())


def face_dynamics_deviation(
    predicted: np.ndarray, real: np.ndarray, template: np.ndarray, upper: np.ndarray, *, squared: bool = True
) -> float:
    """FDD of one sequence: how much more the upper face moves in reality than in the prediction.

    CodeTalker and DiffSpeaker define it so. predicted, real: (T, V, 3); template: (V, 3), the face at rest;
    upper: vertex indices or mask. Per vertex the standard deviation over time (ddof 0) of its squared
    distance to the template (of its distance if squared=False), averaged over the region: real minus
    predicted, signed, so 0 is best and positive means too little movement.
    """
    predicted, real = _meshes(predicted, real, "face_dynamics_deviation")
    template = _finite(template, "face_dynamics_deviation, template", 2)
    if template.shape != real.shape[1:]:
        raise ArrayError(
            f"face_dynamics_deviation: got a template {template.shape}, need {real.shape[1:]}; use the"
            " neutral of this mesh"
        )
    upper = _region(upper, real.shape[1], "face_dynamics_deviation, upper")

    def dynamics(mesh: np.ndarray) -> float:
        distance = np.square(mesh[:, upper] - template[upper]).sum(-1)
        return float((distance if squared else np.sqrt(distance)).std(0).mean())

    return dynamics(real) - dynamics(predicted)
