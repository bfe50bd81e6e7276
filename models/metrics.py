"""The metrics of the paper's tables, on plain arrays.

Bodies have Frechet distances and diversities, faces have LVE and FDD.

In: generated and real motion as arrays (radians for joints, centimetres for meshes; any unit works, results
follow it). Out: numbers, equal to those of the public reference code (audio2photoreal's evaluation for
bodies, DiffSpeaker's for faces). numpy only. What cannot be measured (NaN, too few rows, shapes that do not
fit) is an ArrayError.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from models.tally import Gaussian, Pairs, Tally, symmetric_root
from pipeline.errors import InputError


class ArrayError(InputError, ValueError):
    """Arrays that a metric cannot be computed on; says what was got and what is needed."""


def _finite(value, name: str, num_axes: int) -> np.ndarray:
    """`value` as a float64 array with `num_axes` axes and only finite numbers."""
    array = np.asarray(value, np.float64)
    if array.ndim != num_axes:
        raise ArrayError(f"{name}: got shape {array.shape}, need {num_axes} axes; reshape it")
    need_finite(array, name)
    return array


def need_finite(array: np.ndarray, name: str) -> None:
    """ArrayError where there are NaN or infinite values."""
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise ArrayError(
            f"{name}: got {bad} of {array.size} values that are NaN or infinite, need finite numbers; mend or"
            " leave out those frames"
        )


def frechet_of_moments(
    mean_x: np.ndarray, covariance_x: np.ndarray, mean_y: np.ndarray, covariance_y: np.ndarray
) -> float:
    """Squared 2-Wasserstein distance of two Gaussians, |mx - my|^2 + tr(Cx + Cy - 2 (Cx Cy)^(1/2)).

    See Dowson and Landau 1982. Means (D,), covariances (D, D), both symmetric and positive semidefinite. The
    trace of the root is the sum of the singular values of Cx^(1/2) Cy^(1/2), which stays real and exact for
    singular covariances, where a general matrix square root does not.
    """
    total = np.trace(covariance_x) + np.trace(covariance_y)
    roots = symmetric_root(covariance_x), symmetric_root(covariance_y)
    return _frechet_of_roots(np.asarray(mean_x) - np.asarray(mean_y), float(total), *roots)


def _frechet_of_roots(difference: np.ndarray, total: float, root_x: np.ndarray, root_y: np.ndarray) -> float:
    """The same of the difference of the means, the sum of both traces, and the roots of the covariances."""
    cross = np.linalg.svd(root_x @ root_y, compute_uv=False).sum()
    return float(difference @ difference + total - 2 * cross)


def frechet(x: Gaussian, y: Gaussian, *, repeats_y: int = 1) -> float:
    """Frechet distance of two sets of rows by their moments; each row of y counts `repeats_y` times."""
    for name, rows, count in (("x", x, x.count), ("y", y, y.count * repeats_y)):
        if count < 2:
            raise ArrayError(
                f"frechet_distance, {name}: got {rows.count} rows, need 2 or more for a covariance;"
                " give more samples"
            )
    if len(x.mean) != len(y.mean):
        raise ArrayError(
            f"frechet_distance: got rows of {len(x.mean)} and {len(y.mean)} values, need the same number;"
            " use the same channels"
        )
    total = np.trace(x.covariance()) + np.trace(y.covariance(repeats=repeats_y))
    return _frechet_of_roots(x.mean - y.mean, float(total), x.root(), y.root(repeats=repeats_y))


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance of two sets of rows (N, D) and (M, D).

    Each set is described by its mean and covariance (ddof 1). In squared units of the values; not clipped, so
    two equal sets may give -1e-12. ArrayError (also a ValueError) for NaN, fewer than two rows, or another
    number of columns.
    """
    return frechet(
        Gaussian(_finite(x, "frechet_distance, x", 2)), Gaussian(_finite(y, "frechet_distance, y", 2))
    )


class Reading(NamedTuple):
    """How the metrics of bodies are read, where the paper's words and the reference code leave a choice.

    The defaults are the code's. rate: what differences between frames are multiplied by, the frame rate for
    differences per second; pairs: whether rows of Div_g are paired from all windows and samples, at random,
    or within a window, each row with each other; div_k: see `add_window`; div_sample: see `over_samples`.
    """

    rate: float = 1.0
    pairs: Literal["pooled", "window"] = "pooled"
    div_k: Literal["variance", "deviation", "distance"] = "variance"
    div_sample: Literal["variance", "deviation", "distance"] = "variance"

    @property
    def drawn(self) -> list[str]:
        """Scores of random pairs: those of frames, and of steps between frames."""
        named = ["Div_g", *(["Div_k"] if self.div_k == "distance" else [])]
        return named if self.pairs == "pooled" else []


CODE = Reading()
"""The reading of the reference code."""


def steps_of(window: np.ndarray, reading: Reading = CODE) -> np.ndarray:
    """Differences (T - 1, D) between successive frames (T, D), in the reading's rate."""
    return np.diff(window, axis=0) * reading.rate


def mean_distance(rows: np.ndarray) -> float:
    """Mean L2 distance of each of two or more rows (N, D) to each other one."""
    from scipy.spatial.distance import pdist

    return float(pdist(rows).mean())


def over_samples(samples: np.ndarray, reading: Reading = CODE) -> float:
    """Div_sample of a window's samples (S, T, D), which is 0 for one sample.

    variance: over the samples (ddof 0), mean over frames and channels; deviation: its root in each frame and
    channel, then the mean; distance: L2 distance of two samples of a frame, mean over pairs and frames.
    """
    if reading.div_sample == "variance":
        return float(samples.var(axis=0).mean())
    if reading.div_sample == "deviation":
        return float(samples.std(axis=0).mean())
    apart = [np.linalg.norm(one - two, axis=1).mean() for i, one in enumerate(samples) for two in samples[:i]]
    return float(np.mean(apart)) if apart else 0.0


def add_window(tally: Tally, window: np.ndarray, reading: Reading = CODE) -> None:
    """Count a window (T, D) of bodies: its frames, its steps between frames, and what varies in it.

    Div_k is the variance over time (ddof 0), mean over channels; or the mean of its roots (deviation). As a
    distance it is that of two steps between frames, as Div_g of two frames: here where rows are paired
    within the window.
    """
    steps = steps_of(window, reading)
    tally.add_rows("frames", window)
    tally.add_rows("steps", steps)
    if reading.div_k != "distance":
        varies = window.var(axis=0) if reading.div_k == "variance" else window.std(axis=0)
        tally.add_mean("Div_k", varies.mean(), len(window))
    if reading.pairs == "window":
        tally.add_mean("Div_g", mean_distance(window), len(window))
        if reading.div_k == "distance" and len(steps) > 1:
            tally.add_mean("Div_k", mean_distance(steps), len(window))


def _sequences(generated, real) -> tuple[list[list[np.ndarray]], list[np.ndarray]]:
    """Windows (T, D) of each sample and of the real motion, checked; from arrays or from lists of windows."""
    if isinstance(real, np.ndarray) and isinstance(generated, np.ndarray):
        generated = _finite(generated, "body_metrics, generated", 4)
        real = _finite(real, "body_metrics, real", 3)
        if generated.shape[1:] != real.shape:
            raise ArrayError(
                f"body_metrics: got generated {generated.shape} and real {real.shape}, need (S, Q, T, D) and"
                " (Q, T, D); cut both to the same sequences"
            )
        if not generated.size:
            raise ArrayError(
                f"body_metrics: got shape {generated.shape}, need samples, sequences, channels and 2 or more"
                " frames; give longer sequences"
            )
    made = [[_finite(window, "body_metrics, generated", 2) for window in sample] for sample in generated]
    true = [_finite(window, "body_metrics, real", 2) for window in real]
    shapes = [window.shape for window in true]
    if not made or not shapes or any([window.shape for window in sample] != shapes for sample in made):
        got = [[window.shape for window in sample] for sample in made[:1]]
        raise ArrayError(
            f"body_metrics: got windows {got!s:.80} and real {shapes!s:.80}, need one or more samples of the"
            " real windows' shapes; cut both to the same sequences"
        )
    if min(frames for frames, _ in shapes) < 2:
        raise ArrayError(
            f"body_metrics: got a window {min(shapes)}, need 2 or more frames; give longer sequences"
        )
    return made, true


def body_metrics(generated, real, *, rng, num_pairs: int = 10_000, reading: Reading = CODE) -> dict:
    """Realism and diversity of generated bodies, as Ng et al. 2024 (audio2photoreal) compute them.

    generated: (S, Q, T, D), S samples of Q sequences of T frames; real: (Q, T, D), which counts S times; both
    in the same units (radians for exponential maps), not standardised. Or lists: S lists of Q windows (T_q,
    D), and Q windows, whose lengths may differ. rng: numpy Generator or RandomState; only `choice` is called,
    twice. reading: by default that of the code, which the following says.

    FD_g: Frechet distance of the pooled frames. FD_k: the same of differences of successive frames of a
    sequence, per frame, not per second. Div_g: mean L2 distance of `num_pairs` random pairs of pooled
    generated frames. Div_k: variance over time (ddof 0) of the generated poses, averaged over samples,
    sequences and channels. Div_sample: variance over the S samples (ddof 0), averaged over sequences, frames
    and channels; 0 for one sample. Also num_pairs, the pairs really drawn (all rows where there are fewer
    than asked for), and num_rows. Where windows differ in length every frame counts alike: a window's
    variance over time has the weight of its frames.
    """
    made, true = _sequences(generated, real)
    if num_pairs < 1:
        raise ArrayError(f"body_metrics: got num_pairs {num_pairs}, need 1 or more; 10000 is usual")
    num_rows = len(made) * sum(len(window) for window in true)
    num_pairs = min(int(num_pairs), num_rows)
    own, other, found = Tally(), Tally(), {}
    for sample in made:
        for window in sample:
            add_window(own, window, reading)
    for q, window in enumerate(true):
        add_window(other, window, reading)
        spread = over_samples(np.stack([sample[q] for sample in made]), reading)
        own.add_mean("Div_sample", spread, len(window))
    for name in ("Div_g", "Div_k", "Div_sample"):
        found[name] = own.average(name)
    for name in reading.drawn:
        rows = [
            window if name == "Div_g" else steps_of(window, reading) for sample in made for window in sample
        ]
        count = sum(map(len, rows))
        pairs, start = Pairs(count, min(num_pairs, count), rng), 0
        for window in rows:
            pairs.add(start, window)
            start += len(window)
        found[name] = pairs.distance()
    return {
        "FD_g": frechet(own.rows["frames"], other.rows["frames"], repeats_y=len(made)),
        "FD_k": frechet(own.rows["steps"], other.rows["steps"], repeats_y=len(made)),
        **found,
        "num_pairs": num_pairs,
        "num_rows": num_rows,
    }


def wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """1-Wasserstein distance of two sets of numbers (N,) and (M,), in their unit.

    The area between their cumulative distributions: how far a number is moved in the mean to make one
    distribution of the other (Vallender 1974).
    """
    x, y = (np.sort(_finite(value, "wasserstein", 1)) for value in (x, y))
    if not (len(x) and len(y)):
        raise ArrayError(f"wasserstein: got {len(x)} and {len(y)} values, need one or more of each")
    every = np.concatenate([x, y])
    every.sort(kind="mergesort")  # two sorted runs, which it merges
    below = [np.searchsorted(values, every[:-1], "right") / len(values) for values in (x, y)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(every)))


def acceleration(values: np.ndarray, *, fps: float) -> np.ndarray:
    """Second difference over time (T - 2, ...) of values (T, ...), per second squared."""
    return np.diff(np.asarray(values, np.float64), n=2, axis=0) * fps**2


def sample_spread(samples: np.ndarray, std: np.ndarray) -> float:
    """Variance over samples (S, T, ..., D) in units of std^2 (D,), mean over all but the samples.

    Unbiased (ddof 1), so that its expectation does not depend on how many samples there are.
    """
    if len(samples) < 2:
        raise ArrayError(f"sample_spread: got {len(samples)} samples, need 2 or more; sample more")
    return float((np.asarray(samples, np.float64).var(axis=0, ddof=1) / np.square(std)).mean())


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


def largest_jump(values: np.ndarray, seams: Iterable[int], *, share: float = 0.999) -> tuple[float, float]:
    """The largest step over a seam of a motion (T, D), and what a `share` of its other steps stay below.

    A step is the root mean square over channels of the difference of a frame to the one before it; a seam is
    the frame after which, or at which, something was joined: the steps to it and to the frame after count.
    Raises ArrayError where a seam is not in the motion, or no other step is left.
    """
    values = _finite(values, "largest_jump", 2)
    steps = np.sqrt(np.square(np.diff(values, axis=0)).mean(1))
    at = np.unique([place for seam in seams for place in (seam - 1, seam)])
    if not len(at) or at[0] < 0 or at[-1] >= len(steps) or len(at) == len(steps):
        raise ArrayError(
            f"largest_jump: got seams whose steps are {at.tolist()!s:.60} of {len(steps)}, need some of them"
        )
    return float(steps[at].max()), float(np.quantile(np.delete(steps, at), share))


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
