"""A person in the mirror: left and right exchanged, as poses and relative roots.

With S the reflection along the body's own left, a joint's rotation R becomes S R S of its partner on the
other side. An exponential map v is an axial vector, so it becomes det(S) S v = -S v: its part along the left
stays, the others change sign. That holds where the joints' axes are those of the hips while the pose is zero,
as in BVH, and where the rest pose is its own mirror image but for lengths of bones, which `mirrored_columns`
checks.
"""

import numpy as np

from pipeline.errors import InputError
from pipeline.motion import rotations
from pipeline.motion.joints import aliases
from pipeline.motion.skeleton import hips_frame

ROOT_SIGNS = np.array([-1.0, 1.0, -1.0, 1.0])
"""Of a relative root (dx, dz, dheading, y): steps to the left and turns change sign."""
RELATION_SIGNS = np.array([-1.0, 1.0, -1.0, 1.0])
"""Of where the partner is (x, z, sine and cosine of heading): left and right change place."""
MOST_APART_CM, MOST_APART_DEG = 2.0, 15.0
"""Between a bone and its partner's mirror image: joints that lie at one place, and directions of others."""
_SIDES = (("Left", "Right"), ("LHip", "RHip"))


def partners(names: list[str]) -> np.ndarray:
    """Index (J,) of each joint's partner on the other side, its own where it has none."""
    found = aliases(names)
    result = np.arange(len(names))
    for name, j in found.items():
        for left, right in _SIDES:
            for own, other in ((left, right), (right, left)):
                if name.startswith(own) and other + name.removeprefix(own) in found:
                    result[j] = found[other + name.removeprefix(own)]
    return result


def mirrored_columns(names: list[str], offsets_cm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (3 J,) and signs (3 J,) that mirror poses (..., 3 J): poses[..., columns] * signs.

    names: J names, hips first; offsets_cm: (J, 3), the rest pose. InputError where a bone of it is not the
    mirror image of its partner.
    """
    offsets = np.asarray(offsets_cm, float)
    other = partners(names)
    left = int(np.argmax(np.abs(rotations.rotate(hips_frame(names, offsets), np.array([1.0, 0.0, 0.0])))))
    flip = np.ones(3)
    flip[left] = -1
    for j in range(1, len(names)):
        own, image = offsets[j], flip * offsets[other[j]]
        apart, length = np.linalg.norm(own - image), np.linalg.norm(own) * np.linalg.norm(image)
        angle = np.degrees(np.arccos(np.clip(own @ image / length, -1, 1))) if length else 180.0
        if apart > MOST_APART_CM and angle > MOST_APART_DEG:
            raise InputError(
                f"skeleton: {names[j]} lies at {own.round(1).tolist()} cm, the mirror image of"
                f" {names[other[j]]} at {image.round(1).tolist()}, need a rest pose that is alike on both"
                " sides; train without mirror"
            )
    signs = np.tile(-flip, (len(names), 1))
    signs[0] = [1, -1, -1]  # the hips' rotation is kept in the body's own axes, x left
    columns = 3 * other[:, None] + np.arange(3)
    return columns.ravel(), signs.ravel()
