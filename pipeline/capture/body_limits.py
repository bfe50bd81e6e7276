"""Joints that bend or turn further than a body can.

In: a motion with its hinges, bends and turns (pipeline.motion.limits). Out: the stretches beyond anatomical
limits.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.capture.body_faults import Fault
from pipeline.motion.limits import TWIST_LIMITS, Hinge, Twist
from pipeline.motion.motion import Motion
from pipeline.motion.stretches import runs

LIMIT_SECONDS = 0.025
JOIN_SECONDS = 0.1


def beyond_limits(
    motion: Motion, hinges: list[Hinge], bends: np.ndarray, twists: list[Twist], turns: np.ndarray
) -> Iterator[Fault]:
    """Joints beyond anatomical limits, by their bends (T, H) and turns (T, W) in degrees."""
    least, join = max(2, round(LIMIT_SECONDS * motion.fps)), round(JOIN_SECONDS * motion.fps)
    rows = [(h.name, h.joint, *h.limits, bends[:, i]) for i, h in enumerate(hinges)]
    rows += [
        (kind, above, -TWIST_LIMITS[kind], TWIST_LIMITS[kind], turns[:, i])
        for i, (kind, above, *_) in enumerate(twists)
    ]
    for name, joint, low, high, values in rows:
        for bound, side, what in ((low, -1.0, "bent backwards"), (high, 1.0, "bent too far")):
            beyond = side * (values - bound) > 0
            for first, stop in runs(beyond, join=join, least=least):
                if beyond[first:stop].sum() < least:
                    continue
                part = values[first:stop]
                worst = float(part[np.nanargmax(side * part)])
                note = f"{name} twisted" if name in TWIST_LIMITS else f"{name} {what}"
                yield Fault("limit", motion.names[joint], joint, first, stop, worst, bound, "deg", note)
