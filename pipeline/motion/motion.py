"""Motion: a skeleton and its movement, the form in which every body passes from one module to the next."""

from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.motion.joints import aliases


@dataclass(frozen=True)
class Motion:
    """A skeleton and its movement.

    names: J joint names as in the file; parents: (J,) index of each joint's parent, -1 for the root, parents
    first; offsets_cm: (J, 3); fps: frames per second; positions_cm: (T, J, 3) local translations (the offset
    where the file has no position channel); rotations: (T, J, 4) local unit quaternions, xyzw; ends_cm: tip
    of each leaf (joint index -> (3,)); orders: rotation order of each joint as in the file, such as "zyx",
    axes without a channel last; free: joints with position channels; claimed_frames: number of frames in the
    file's header, None where the motion is not a whole file.
    """

    names: list[str]
    parents: np.ndarray
    offsets_cm: np.ndarray
    fps: float
    positions_cm: np.ndarray
    rotations: np.ndarray
    ends_cm: dict[int, np.ndarray] = field(default_factory=dict)
    orders: list[str] | None = None
    free: frozenset[int] = frozenset({0})
    claimed_frames: int | None = None

    @property
    def num_frames(self) -> int:
        """Number of frames, T."""
        return len(self.rotations)

    def aliases(self) -> dict[str, int]:
        """Joint index by canonical name (the public release's), prefixes and the usual spellings resolved."""
        return aliases(self.names)

    def frames(self, index) -> "Motion":
        """The same skeleton with the frames that `index` (slice or array) selects."""
        return replace(
            self, positions_cm=self.positions_cm[index], rotations=self.rotations[index], claimed_frames=None
        )
