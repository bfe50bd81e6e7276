"""Face quality: whether a face's weights and the mesh they stand for are those of the actor.

It speaks in the words that `quality` uses.

A mesh in another unit, in another order of vertices, mirrored, empty or of another person has weights too,
for least squares always gives some: they are far from 0 to 1, and what they leave is large.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.errors import InputError

MAX_RESIDUAL_CM = 0.1
"""RMS distance between face mesh and fitted shapes.

Sensor noise is a tenth of this, a wrong rig ten times it.
"""
WEIGHT_RANGE = (-0.5, 1.5)
"""Weights are fitted without bounds; noise carries them a little beyond 0 and 1, a bad fit far."""
MOST_LIVE_LINK = 3.0
"""A weight of a recording: the app writes 0 to 1, and a gain on top of it stays below.

Percent pass it with the first blink.
"""
MAX_RESIDUAL_SHARE = 0.7
"""Residual as a share of the rig's size (root mean square about its middle, 4.2 cm of a face): 3 cm.

The face of another person leaves a share of 0.02, fits of a rig three times too weak 0.6; another unit, order
or side, or no face at all, 0.9 and more.
"""
CAUSES = "check the mesh's units, the order of its vertices and the rig"


def residual_reason(residual_cm: float | None) -> str | None:
    """What to say of a fit's residual (root mean square), None where it is as small as it should be."""
    if residual_cm is None or residual_cm <= MAX_RESIDUAL_CM:
        return None
    return f"face shapes fit the mesh to {residual_cm:.3f} cm only; is it the actor's rig?"


def range_reason(least: float, most: float) -> str | None:
    """What is to be said of the range of weights, None where it is as it should be."""
    return (
        None
        if least >= WEIGHT_RANGE[0] and most <= WEIGHT_RANGE[1]
        else f"face weights reach from {least:.2f} to {most:.2f}"
    )


def warnings(weights: np.ndarray, report: dict[str, Any]) -> Iterator[str]:
    """What to warn of in weights (N, 51) as they are written, and their report.

    Each ends with the reason that `quality` will have.
    """
    fitted = report["source"] == "mesh"
    if reason := residual_reason(report.get("residual_rms_cm")):
        yield f"{report['performance']}: {CAUSES}: {reason}"
    if reason := range_reason(float(weights.min()), float(weights.max())):
        yield f"{report['performance']}: {CAUSES if fitted else 'check the recording, need 0 to 1'}: {reason}"


def refuse_no_face(residual_cm: float | None, neutral: np.ndarray, *, where: str) -> None:
    """InputError where the residual (root mean square, cm) is of the order of the rig's neutral.

    The neutral is (V, 3).
    """
    size = float(np.sqrt(np.mean((neutral - neutral.mean(0)) ** 2)))
    if residual_cm is not None and residual_cm > MAX_RESIDUAL_SHARE * size:
        raise InputError(
            f"{where}: the rig's shapes leave {residual_cm:.3g} cm of the mesh, need"
            f" {MAX_RESIDUAL_SHARE * size:.1f} cm at most and {MAX_RESIDUAL_CM} cm of a face; {CAUSES}, or"
            " set blendshapes.stabilise to rigid where the head lies elsewhere"
        )


def refuse_percent(weights: np.ndarray, *, where: str) -> None:
    """InputError where weights (N, 51) of a recording, NaN where it saw no face, are no shares of 1."""
    seen = weights[np.isfinite(weights)]
    if seen.size and max(seen.max(), -seen.min()) > MOST_LIVE_LINK:
        raise InputError(
            f"{where}: weights reach from {seen.min():.4g} to {seen.max():.4g}, need 0 to 1: are they in"
            " percent? export the recording again"
        )
