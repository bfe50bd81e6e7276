"""What scores are computed from: sums that add up over windows, takes and samples, and keep no frames.

A `Tally` holds, by name, the moments of rows (for Frechet distances), weighted means, and the values of
distributions (one number a frame). Tallies of parts merge into that of the whole, exactly but for rounding,
so a score of all takes, of all but one and of one sample all come from one reading of the data.
"""

from collections.abc import Iterable

import numpy as np


class Gaussian:
    """Count, mean (D,) and scatter (D, D) of rows, merged block by block in float64.

    Chan, Golub & LeVeque 1983, with the whole matrix in place of its diagonal.
    """

    def __init__(self, rows: np.ndarray | None = None):
        self.count, self.mean, self.scatter = 0, np.zeros(0), np.zeros((0, 0))
        self._root: np.ndarray | None = None
        if rows is not None and len(rows):
            self.count, self.mean = len(rows), np.asarray(rows, np.float64).mean(0)
            centred = rows - self.mean
            self.scatter = centred.T @ centred

    def merge(self, other: "Gaussian") -> None:
        """Take in the rows of another."""
        self._root = None
        if not self.count or not other.count:
            if other.count:
                self.count, self.mean, self.scatter = other.count, other.mean, other.scatter
            return
        total, step = self.count + other.count, other.mean - self.mean
        between = np.outer(step, step) * (self.count * other.count / total)
        self.scatter = self.scatter + other.scatter + between
        self.mean = self.mean + step * (other.count / total)
        self.count = total

    def covariance(self, *, repeats: int = 1) -> np.ndarray:
        """Covariance (D, D), ddof 1, of rows that each count `repeats` times."""
        return self.scatter * (repeats / (repeats * self.count - 1))

    def root(self, *, repeats: int = 1) -> np.ndarray:
        """The symmetric square root (D, D) of the covariance; its eigenvectors are computed once."""
        if self._root is None:
            self._root = symmetric_root(self.scatter)
        return self._root * (repeats / (repeats * self.count - 1)) ** 0.5


def symmetric_root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix (D, D)."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


class Tally:
    """Moments of rows, weighted means and distributions, each under a name."""

    def __init__(self) -> None:
        self.rows: dict[str, Gaussian] = {}
        self.sums: dict[str, tuple[float, float]] = {}
        self.values: dict[str, list[np.ndarray]] = {}

    def add_rows(self, name: str, rows: np.ndarray) -> None:
        """Rows (N, D) whose moments are kept."""
        self.rows.setdefault(name, Gaussian()).merge(Gaussian(rows))

    def add_mean(self, name: str, value: float, weight: float) -> None:
        """A mean over `weight` frames or performances."""
        total, weights = self.sums.get(name, (0.0, 0.0))
        self.sums[name] = total + float(value) * weight, weights + weight

    def add_values(self, name: str, values: np.ndarray) -> None:
        """Numbers of a distribution, of any shape; kept as float32."""
        self.values.setdefault(name, []).append(np.asarray(values, np.float32).reshape(-1))

    def merge(self, other: "Tally") -> None:
        """Take in what another has counted."""
        for name, rows in other.rows.items():
            self.rows.setdefault(name, Gaussian()).merge(rows)
        for name, (total, weights) in other.sums.items():
            own, own_weights = self.sums.get(name, (0.0, 0.0))
            self.sums[name] = own + total, own_weights + weights
        for name, values in other.values.items():
            self.values.setdefault(name, []).extend(values)

    def average(self, name: str) -> float | None:
        """The weighted mean of a name; None where nothing was added."""
        total, weights = self.sums.get(name, (0.0, 0.0))
        return total / weights if weights else None

    def distribution(self, name: str) -> np.ndarray | None:
        """All values (N,) of a name; None where nothing was added."""
        found = np.concatenate(self.values.get(name, [np.zeros(0, np.float32)]))
        return found if len(found) else None


def merged(tallies: Iterable[Tally]) -> Tally:
    """The tally of all that these have counted."""
    result = Tally()
    for tally in tallies:
        result.merge(tally)
    return result


class Pairs:
    """Random pairs of rows, drawn before the rows are read: two draws without replacement, by position.

    rng: numpy Generator or RandomState, of which only `choice` is called, twice.
    """

    def __init__(self, num_rows: int, num_pairs: int, rng):
        self.drawn = np.stack([rng.choice(num_rows, num_pairs, replace=False) for _ in range(2)])
        self.order = np.argsort(self.drawn, 1)
        self.rows: np.ndarray | None = None

    def add(self, start: int, rows: np.ndarray) -> None:
        """Keep those of the rows (N, D) with numbers start .. start + N - 1 that were drawn."""
        if self.rows is None:
            self.rows = np.zeros((*self.drawn.shape, rows.shape[1]))
        for drawn, order, kept in zip(self.drawn, self.order, self.rows):
            a, b = np.searchsorted(drawn, [start, start + len(rows)], sorter=order)
            kept[order[a:b]] = rows[drawn[order[a:b]] - start]

    def distance(self, first: np.ndarray | None = None, second: np.ndarray | None = None) -> float | None:
        """Mean L2 distance of the pairs, or of the first rows chosen by one mask and the second by the other.

        These are paired by position, as many as there are of both; None where there is no pair.
        """
        if self.rows is None:
            return None
        one, two = self.rows
        one, two = one if first is None else one[first], two if second is None else two[second]
        count = min(len(one), len(two))
        return float(np.linalg.norm(one[:count] - two[:count], axis=1).mean()) if count else None


def _quantile(freedom: int) -> float:
    """97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def half_width(values: list[float]) -> float | None:
    """Half-width of the 95 % interval of a mean of independent values; None where there are fewer than 2."""
    count = len(values)
    return None if count < 2 else _quantile(count - 1) * float(np.std(values, ddof=1)) / count**0.5


def jackknife_half_width(left_out: list[float]) -> float | None:
    """Half-width of the 95 % interval of a score from its values with each part left out in turn.

    The variance is (n - 1) / n sum (score_i - mean)^2 (Tukey 1958) with n - 1 degrees of freedom. For a score
    that is a mean over parts of one weight it is `half_width` of the parts. None where there are fewer than
    2.
    """
    count = len(left_out)
    if count < 2:
        return None
    return _quantile(count - 1) * float(np.std(left_out)) * (count - 1) ** 0.5
