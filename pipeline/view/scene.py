"""A take as it is shown: people, what each variant makes of them, and where their voices are.

A variant is what was captured, or one sample of a trained model. All variants of a scene have one clock, on
which frame f is at f / fps seconds.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.rig_file import Rig
from pipeline.motion.motion import Motion

CAPTURED = "captured"
"""Key of the variant that was recorded."""


@dataclass(frozen=True)
class Person:
    """One actor of a take.

    actor: id, or what the file is called where it names none; rig: the face, None where there is none;
    voice: a WAV that begins at frame 0.
    """

    actor: str
    rig: Rig | None
    voice: Path | None


@dataclass(frozen=True)
class Performance:
    """How one person moves in a variant.

    motion: T frames at the scene's rate, cm, y up; face: ARKit weights (T, 51) in the order of arkit.NAMES,
    None where there are none.
    """

    motion: Motion
    face: np.ndarray | None

    def skeleton(self) -> tuple:
        """What two performances share whose bodies have one skeleton: they are equal where it is."""
        motion = self.motion
        ends = tuple((j, tuple(np.round(end, 6))) for j, end in sorted(motion.ends_cm.items()))
        return (
            tuple(motion.names),
            tuple(int(p) for p in motion.parents),
            np.round(motion.offsets_cm, 6).tobytes(),
            ends,
        )


@dataclass(frozen=True)
class Variant:
    """A take as one source has it: `key` names it in files, `label` to people.

    performances: one for each of the scene's people, in their order.
    """

    key: str
    label: str
    performances: tuple[Performance, ...]


@dataclass(frozen=True)
class Scene:
    """A take with its people and variants, what was captured first.

    notes: what a person should know of what is not there, a line each.
    """

    take: str
    fps: float
    num_frames: int
    people: tuple[Person, ...]
    variants: tuple[Variant, ...]
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long the take lasts."""
        return self.num_frames / self.fps

    def variant(self, key: str) -> Variant:
        """The variant of a key; InputError names those that there are."""
        for variant in self.variants:
            if variant.key == key:
                return variant
        keys = ", ".join(variant.key for variant in self.variants)
        raise InputError(f"take {self.take}: no variant {key!r}, need one of {keys}; correct the command")


def check_finite(motion: Motion, face: np.ndarray | None, body_path: Path, face_path: Path | None) -> None:
    """InputError that names file and frame where a body or a face holds NaN or infinity."""
    for path, values, names in (
        (body_path, np.concatenate([motion.positions_cm, motion.rotations], 2), motion.names),
        (face_path, face, arkit.NAMES),
    ):
        if values is None:
            continue
        bad = ~np.isfinite(values.reshape(len(values), len(names), -1)).all(2)
        if bad.any():
            frame, column = np.argwhere(bad)[0]
            raise InputError(
                f"{path}, frame {frame}: {names[column]} is NaN or infinite, need numbers; mend the file"
                " (python -m pipeline.capture.body FILE mends short gaps of bodies)"
            )
