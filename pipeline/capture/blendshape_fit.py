"""Least squares of face meshes on blendshapes, on arrays: weights and residuals of blocks of frames.

For each frame the weights w minimise |x - neutral - sum_k w_k delta_k|^2 (paper, appendix A.4). All methods
solve the same problem on one factorisation of the rig:

- `normal`: w = P (x - neutral), P = G^-1 D with the shapes D (K, 3V) and their normal matrix G = D D^T, for a
  block of frames in one product. Where shapes depend on each other, the solution of least norm.
- `lsqr`: the paper's iterative solver (scipy.sparse.linalg.lsqr), frame by frame, in float64.
- `bounded`: weights in [0, 1]. The unbounded solution w* holds all that the frame says of the weights, since
  |x - neutral - D^T w|^2 = const + (w - w*)^T G (w - w*): what is left is a problem of K numbers, solved
  exactly.

Lengths are in the unit of the rig; nothing here knows of files.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError

METHODS = ("normal", "lsqr", "bounded")
RANK_TOLERANCE = 1e-10
"""Eigenvalues of the normal matrix below this share of the largest count as zero."""
SINGLE_CONDITION = 1e3
"""Up to this ratio of singular values, `fast` multiplies float32 vertices as float32.

It does so in pieces that are summed in float64.
"""
PIECE = 3072
"""Coordinates multiplied at a time: few enough for the cache, and for float32 to sum without loss."""
PARALLEL = 1 - 1e-6
"""Two shapes whose angle has at least this cosine are one."""
MAX_MISSING = 0.5
"""Share of a frame's vertices that may be NaN; a frame that lacks more has NaN weights."""
BOUNDED_ITERATIONS = 100


@dataclass(frozen=True)
class Fitted:
    """weights (B, K), residual (B,), and the same by region, (B,) each.

    A residual is the root mean square over a frame's coordinates.

    masked: vertices of each frame (B,) that were NaN and left out. A frame without solution has NaN in all of
    them.
    """

    weights: np.ndarray
    residual: np.ndarray
    by_region: dict[str, np.ndarray]
    masked: np.ndarray


class BlendshapeFit:
    """The factorised problem of one rig.

    neutral (V, 3) and deltas (K, V, 3) in the unit of the vertices to come; regions: vertex indices (n,) by
    name, for residuals apart; vertex_weights (V,): how much the squared error of each vertex counts in the
    fit (residuals stay plain); fast: float32 vertices are multiplied as float32 where the rig's condition
    allows, else all is float64. Raises InputError where shapes, regions or weights do not fit each other.
    """

    def __init__(
        self,
        neutral: np.ndarray,
        deltas: np.ndarray,
        *,
        method: str = "normal",
        regions: dict[str, np.ndarray] | None = None,
        vertex_weights: np.ndarray | None = None,
        fast: bool = False,
    ):
        if deltas.ndim != 3 or deltas.shape[1:] != neutral.shape:
            raise InputError(
                f"rig: neutral {neutral.shape} and deltas {deltas.shape}, need (V,3) and (K,V,3); build the"
                " rig again"
            )
        if method not in METHODS:
            raise InputError(f"blendshape method {method!r}, need {', '.join(METHODS)}")
        self.method = method
        self.fast = fast and method == "normal"
        self.regions = regions or {}
        self.neutral = np.asarray(neutral, float).reshape(-1)
        self.basis = np.asarray(deltas, float).reshape(len(deltas), -1)
        weighted = self.basis
        self.roots = None
        if vertex_weights is not None:
            if (
                vertex_weights.shape != (len(neutral),)
                or not (vertex_weights >= 0).all()
                or not vertex_weights.any()
            ):
                raise InputError(
                    f"vertex weights {vertex_weights.shape}, need {len(neutral)} numbers of 0 or more, not"
                    " all 0; correct them"
                )
            self.roots = np.repeat(np.sqrt(np.asarray(vertex_weights, float)), 3)
            weighted = self.basis * self.roots
        self.normal = weighted @ weighted.T
        values, vectors = np.linalg.eigh(self.normal)
        used = values > RANK_TOLERANCE * max(values.max(), np.finfo(float).tiny)
        self.rank = int(used.sum())
        self.null = vectors[:, ~used]
        self.condition = float(np.sqrt(values[used].max() / values[used].min())) if self.rank else 1.0
        self.inverse = (vectors[:, used] / values[used]) @ vectors[:, used].T
        # rows of the solver: weights = solver @ (x - neutral), vertex weights included
        self.solver = self.inverse @ (weighted if self.roots is None else weighted * self.roots)
        self._cached: dict[bool, tuple[np.ndarray, ...]] = {}
        self._moved = np.any(self.basis != 0, axis=0)
        counted = np.zeros((len(neutral), len(self.regions)), np.float32)
        for i, vertices in enumerate(self.regions.values()):
            counted[vertices, i] = 1
        self._counted = np.repeat(counted, 3, 0)

    def __call__(self, vertices: np.ndarray) -> Fitted:
        """Weights and residuals of vertices (B, V, 3).

        NaN vertices are left out of the frame's problem, up to MAX_MISSING of them; a frame that lacks more,
        or whose weights the others do not tell, has NaN weights.
        """
        x = self._coordinates(vertices)
        weights = self._solve(x)
        squares = self._squares(x, weights)
        masked = np.zeros(len(x), int)
        for i in np.flatnonzero(~np.isfinite(weights).all(1) | ~np.isfinite(squares[:, 0])):
            weights[i], masked[i] = self._masked(x[i])
        return Fitted(weights, *self._residuals(x, weights, squares), masked)

    def residuals(self, vertices: np.ndarray, weights: np.ndarray) -> Fitted:
        """What weights (B, K) from elsewhere leave of vertices (B, V, 3); `masked` counts NaN vertices."""
        x = self._coordinates(vertices)
        masked = (~np.isfinite(x.reshape(len(x), len(self.neutral) // 3, 3)).all(2)).sum(1)
        return Fitted(weights, *self._residuals(x, weights, self._squares(x, weights)), masked)

    def movement(self, weights: np.ndarray) -> np.ndarray:
        """How far (B,) weights (B, K) move the vertices from the neutral: root mean square of coordinates."""
        gram = self.basis @ self.basis.T if self.roots is not None else self.normal
        return np.sqrt(np.maximum(np.einsum("bi,ij,bj->b", weights, gram, weights), 0) / len(self.neutral))

    def bounded(self, weights: np.ndarray, *, ridge: np.ndarray | float = 0.0) -> np.ndarray:
        """The weights (B, K) in [0, 1] whose squared error exceeds that of `weights` (B, K) least.

        `weights` are unbounded.
        """
        normal = self.normal + ridge * np.eye(len(self.normal))
        return box_least_squares(normal, weights)

    def _coordinates(self, vertices: np.ndarray) -> np.ndarray:
        """Coordinates (B, 3V) in the precision of the products."""
        x = np.ascontiguousarray(vertices).reshape(len(vertices), len(self.neutral))
        return x if self._single(x) else x.astype(float, copy=False)

    def _single(self, x: np.ndarray) -> bool:
        return self.fast and x.dtype == np.float32 and self.condition <= SINGLE_CONDITION

    def _constants(self, single: bool) -> tuple[np.ndarray, ...]:
        """neutral (3V,), solver transposed (3V, K), basis (K, 3V) in the precision of the products."""
        if single not in self._cached:
            arrays = (self.neutral, self.solver.T, self.basis)
            self._cached[single] = tuple(
                np.ascontiguousarray(array.astype(np.float32) if single else array) for array in arrays
            )
        return self._cached[single]

    def _solve(self, x: np.ndarray) -> np.ndarray:
        """Weights (B, K) float64 of coordinates (B, 3V); NaN where a coordinate is that tells them."""
        if self.method == "lsqr":
            return (
                np.stack([self._lsqr(frame) for frame in x - self.neutral])
                if len(x)
                else np.empty((0, len(self.basis)))
            )
        neutral, solver, _ = self._constants(self._single(x))
        weights = np.zeros((len(x), len(self.basis)))
        for a in range(0, x.shape[1], PIECE):
            if np.any(self._moved[a : a + PIECE]):  # the back of a head says nothing
                weights += (x[:, a : a + PIECE] - neutral[a : a + PIECE]) @ solver[a : a + PIECE]
        if self.method == "bounded":
            complete = np.isfinite(weights).all(1)
            weights[complete] = self.bounded(weights[complete])
        return weights

    def _lsqr(self, offset: np.ndarray) -> np.ndarray:
        from scipy.sparse.linalg import lsqr

        if not np.isfinite(offset).all():
            return np.full(len(self.basis), np.nan)
        roots = 1.0 if self.roots is None else self.roots
        return lsqr((self.basis * roots).T, offset * roots, atol=1e-10, btol=1e-10, iter_lim=1000)[0]

    def _masked(self, x: np.ndarray) -> tuple[np.ndarray, int]:
        """Weights (K,) of one frame (3V,) without its NaN vertices, and how many these are.

        The normal matrix loses what the missing vertices had put into it; where that costs it rank, the
        others do not tell the weights, which are NaN.
        """
        missing = ~np.isfinite(x.reshape(-1, 3)).all(1)
        count, rows = int(missing.sum()), np.repeat(missing, 3)
        if count > MAX_MISSING * len(missing):
            return np.full(len(self.basis), np.nan), count
        roots = np.ones(len(x)) if self.roots is None else self.roots
        lost = self.basis[:, rows] * roots[rows]
        normal = self.normal - lost @ lost.T
        values, vectors = np.linalg.eigh(normal)
        used = values > RANK_TOLERANCE * max(values.max(), np.finfo(float).tiny)
        if used.sum() < self.rank:
            return np.full(len(self.basis), np.nan), count
        offset = np.where(rows, 0.0, x - self.neutral)  # out of the sums, as `lost` is out of the matrix
        weights = (vectors[:, used] / values[used]) @ (
            vectors[:, used].T @ (self.basis @ (roots**2 * offset))
        )
        return (box_least_squares(normal, weights[None])[0] if self.method == "bounded" else weights), count

    def _residuals(
        self, x: np.ndarray, weights: np.ndarray, squares: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Root mean square errors (B,) of weights (B, K), over all coordinates that are there, and by region.

        Coordinates are (B, 3V).

        `squares` is what `_squares` says; frames in which that is NaN are summed anew without their NaN
        vertices.
        """
        parts = [np.arange(len(self.neutral) // 3), *self.regions.values()]
        counts = np.tile([3.0 * max(len(part), 1) for part in parts], (len(x), 1))
        for i in np.flatnonzero(~np.isfinite(squares[:, 0]) & np.isfinite(weights).all(1)):
            errors = ((x[i] - self.neutral - weights[i] @ self.basis) ** 2).reshape(-1, 3).sum(1)
            there = np.isfinite(errors)
            squares[i] = [errors[part][there[part]].sum() for part in parts]
            counts[i] = [
                3 * there[part].sum() or np.nan for part in parts
            ]  # a region without any vertex has no residual
        roots = np.sqrt(squares / counts)
        return roots[:, 0], {name: roots[:, i] for i, name in enumerate(self.regions, 1)}

    def _squares(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sums of squared errors (B, 1 + regions) over all coordinates and over those of each region.

        NaN with a NaN.
        """
        neutral, _, basis = self._constants(self._single(x))
        squares = np.zeros((len(x), 1 + len(self.regions)))
        weights = weights.astype(basis.dtype)
        for a in range(0, x.shape[1], PIECE):
            error = x[:, a : a + PIECE] - neutral[a : a + PIECE]
            if np.any(self._moved[a : a + PIECE]):
                error -= weights @ basis[:, a : a + PIECE]
            squares[:, 0] += np.einsum("ij,ij->i", error, error)
            if self.regions:
                np.square(error, out=error)
                squares[:, 1:] += error @ self._counted[a : a + PIECE]
        return squares

    def faults(self, names: list[str]) -> list[str]:
        """What is wrong with the shapes, a line each.

        Those that move nothing, those that are one, those that others make up.
        """
        lengths = np.sqrt(np.diag(self.normal))
        still = lengths <= np.sqrt(RANK_TOLERANCE) * lengths.max(initial=0.0)
        lines = [f"{name} moves nothing" for name, zero in zip(names, still) if zero]
        unit = lengths + still
        cosines = self.normal / np.outer(unit, unit)
        named: set[int] = set()
        for i, j in zip(*np.nonzero(np.triu(np.abs(cosines) >= PARALLEL, 1))):
            if not still[i] and not still[j]:
                lines.append(f"{names[j]} is {cosines[i, j] * lengths[j] / lengths[i]:.3g} times {names[i]}")
                named |= {int(i), int(j)}
        left = self.null.shape[1] - int(still.sum()) - sum(" times " in line for line in lines)
        if left > 0:
            involved = np.abs(self.null * lengths[:, None]).max(1)
            chosen = [
                i
                for i in np.argsort(-involved)
                if involved[i] > 0.05 * involved.max() and i not in named and not still[i]
            ]
            lines.append(
                f"{left} more of {', '.join(names[i] for i in sorted(chosen)) or 'the shapes'} are made up of"
                " the others"
            )
        return lines


def box_least_squares(normal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each row w* of `weights` (B, K) the nearest w in [0, 1], by the measure G = `normal` (K, K).

    It has the smallest (w - w*)^T G (w - w*).

    All rows at once by an active set (Kunisch and Hintermueller 2003): weights whose multiplier holds them at
    a bound are fixed, the free ones solved for, until the sets stay. A row whose sets go in circles is solved
    by itself, by scipy's bounded-variable least squares on a triangular factor of G. Where G is singular, a
    ridge of 1e-12 of its mean diagonal picks one of the solutions.
    """
    size = len(normal)
    scale = max(float(np.trace(normal)) / size, np.finfo(float).tiny)
    matrix = normal / scale
    values = np.linalg.eigvalsh(matrix)
    if values[0] <= RANK_TOLERANCE * values[-1]:
        matrix = matrix + 1e-12 * np.eye(size)
    target = weights @ matrix
    result = np.clip(weights, 0.0, 1.0)
    multiplier = np.zeros_like(result)
    low, high = weights < 0, weights > 1
    waiting = np.flatnonzero((low | high).any(1))
    for _ in range(BOUNDED_ITERATIONS):
        if not len(waiting):
            break
        at_low, at_high = low[waiting], high[waiting]
        free = ~(at_low | at_high)
        fixed = at_high.astype(float)
        # rows of fixed weights are those of the unit matrix
        systems = np.where(free[:, :, None] & free[:, None, :], matrix, np.eye(size))
        right = np.where(free, target[waiting] - fixed @ matrix, fixed)
        w = np.linalg.solve(systems, right[..., None])[..., 0]
        gradient = w @ matrix - target[waiting]
        multiplier = np.where(free, 0.0, gradient)
        new_low = np.where(free, w < -1e-12, at_low & (multiplier > 0))
        new_high = np.where(free, w > 1 + 1e-12, at_high & (multiplier < 0))
        result[waiting] = w
        done = (new_low == at_low).all(1) & (new_high == at_high).all(1)
        low[waiting], high[waiting] = new_low, new_high
        waiting = waiting[~done]
    if len(waiting):
        from scipy.optimize import lsq_linear

        factor = np.linalg.cholesky(matrix).T
        for i in waiting:
            result[i] = lsq_linear(
                factor,
                np.linalg.solve(factor.T, target[i]),
                (0, 1),
                method="bvls",
                tol=1e-14,
                max_iter=50 * size,
            ).x
    return np.clip(result, 0.0, 1.0)


def smooth(normal: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """Smooth weights (T, K) near unbounded ones w* (T, K).

    They minimise sum_t (w_t - w*_t)^T G (w_t - w*_t) + strength |w_t - w_(t-1)|^2.

    Exact over the whole sequence: in the eigenvectors of G = `normal` each direction is a tridiagonal system
    of its own. A direction that G does not know, eigenvalue 0, becomes constant.
    """
    from scipy.linalg import solveh_banded

    if len(weights) < 2 or strength == 0:
        return weights
    values, vectors = np.linalg.eigh(normal)
    values = np.maximum(values, RANK_TOLERANCE * max(values.max(), np.finfo(float).tiny))
    turned = weights @ vectors
    ties = np.full(len(weights), 2.0 * strength)
    ties[[0, -1]] = strength
    bands = np.full((2, len(weights)), -strength)
    for k, value in enumerate(values):
        bands[1] = value + ties
        turned[:, k] = solveh_banded(bands, value * turned[:, k])
    return turned @ vectors.T
