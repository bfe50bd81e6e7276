"""What the scores of trained models must show at least, and why.

In: rows of the table. Out: a verdict for each check. A number that is not there is not judged.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A limit of a score: numbers, or the same score of the mean pose and face.

    least, most: None for no limit; of_mean: largest share of the mean's score.
    """

    score: str
    why: str
    least: float | None = None
    most: float | None = None
    of_mean: float | None = None


CLEARLY_BELOW = 0.99
"""Share of the mean's score that counts as below it.

The mean pose as a model of several samples has up to half a percent less than the row of the mean pose: a
covariance of more rows is divided by relatively more (ddof 1).
"""
CHECKS = (
    Check(
        "spread_body",
        "A model that remembers gives one answer to each take. Noise added to it passes here, and fails"
        " accel_body and FD_k.",
        least=0.2,
    ),
    Check(
        "spread_face",
        "As for bodies; a voice says more about a face, so less is left open.",
        least=0.1,
    ),
    Check(
        "accel_body",
        "Noise from frame to frame makes it large, and so does a network that hands its noisy input on; a"
        " mean of many answers makes it small.",
        least=0.5,
        most=1.5,
    ),
    Check("accel_face", "As for bodies.", least=0.5, most=1.5),
    Check(
        "FD_g",
        f"Poses are nearer to the real ones than one pose for all: at most {CLEARLY_BELOW} of the mean"
        " pose's.",
        of_mean=CLEARLY_BELOW,
    ),
    Check(
        "FD_k",
        f"Movement is nearer to the real one than none at all: at most {CLEARLY_BELOW} of the mean pose's.",
        of_mean=CLEARLY_BELOW,
    ),
    Check(
        "LVE_mean_cm2",
        "What all samples agree on must know of the voice: at most the mean face's. Single samples may lie"
        " further off than the mean face: they vary, and the mean face does not.",
        of_mean=1.0,
    ),
)


@dataclass(frozen=True)
class Verdict:
    """A check of a row: the score's name, its value, what is needed, and whether it holds (None: unknown)."""

    score: str
    value: float | None
    need: str
    holds: bool | None

    @property
    def said(self) -> str:
        """`pass`, `fail` or `not measured`."""
        return "not measured" if self.holds is None else "pass" if self.holds else "fail"


def verdicts(row: dict, mean: dict) -> list[Verdict]:
    """The checks of a row of trained models, against the row of the mean pose and face."""
    found = []
    for check in CHECKS:
        value, other = row.get(check.score), mean.get(check.score)
        if check.of_mean is not None:
            limit = None if other is None else check.of_mean * other
            need = "<= that of the mean" if limit is None else f"<= {limit:.4g}"
            holds = None if value is None or limit is None else value <= limit
        else:
            least = -float("inf") if check.least is None else check.least
            most = float("inf") if check.most is None else check.most
            need = f">= {check.least}" if check.most is None else f"{least:g} to {most:g}"
            holds = None if value is None else least <= value <= most
        found.append(Verdict(check.score, value, need, holds))
    return found


def summary(found: list[Verdict]) -> dict[str, str]:
    """Cells of the CSV: `checks`, such as `5 of 7`, and `failed`, the scores that do not pass."""
    judged = [verdict for verdict in found if verdict.holds is not None]
    passed = sum(bool(verdict.holds) for verdict in judged)
    failed = " ".join(verdict.score for verdict in judged if not verdict.holds)
    return {"checks": f"{passed} of {len(judged)}", "failed": failed}
