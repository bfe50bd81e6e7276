"""Scenes for tests of files for other programs: simulated bodies and heads, and recorded ones."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers.bodies import standing
from helpers.tiny_scene import simulated_rig
from pipeline.formats import arkit
from pipeline.formats.rig_file import Rig
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.rigs.importing import import_rig
from pipeline.view.mannequin import head_place
from pipeline.view.scene import Performance, Person, Scene, Variant
from pipeline.view.sources import open_source

FPS = 30.0
TAKE = "20260101_001"


def talking_scene(
    num_frames: int = 61,
    *,
    rigs: tuple[Rig | None, ...] | None = None,
    variants: tuple[str, ...] = ("captured", "trained_models", "trained_models/sample-01"),
) -> Scene:
    """Two simulated bodies that face each other and move every joint and every shape."""
    if rigs is None:
        rigs = (simulated_rig("001", 1500), simulated_rig("002", 1500))
    people = tuple(Person(f"{n + 1:03}", rig, None) for n, rig in enumerate(rigs))
    made = tuple(
        Variant(
            key,
            key.replace("_", " "),
            tuple(_performance(num_frames, n, 10 * v + n) for n in range(len(people))),
        )
        for v, key in enumerate(variants)
    )
    return Scene(TAKE, FPS, num_frames, people, made)


def _performance(num_frames: int, person: int, seed: int) -> Performance:
    rng = np.random.default_rng(seed)
    motion = standing(num_frames / FPS, FPS, seed)
    turned = rotations.about("y", np.array([0.3, np.pi - 0.2])[person % 2])
    motion.rotations[:, 0] = rotations.multiply(turned, motion.rotations[:, 0])
    motion.positions_cm[:, 0] += [0.0, 0.0, 120.0 * person]
    waves = rng.uniform(0.2, 3, len(arkit.NAMES)) * np.arange(num_frames)[:, None] / FPS
    face = 0.5 + 0.5 * np.sin(2 * np.pi * waves + rng.uniform(0, 6, len(arkit.NAMES)))
    return Performance(motion, face.astype(np.float32))


def recorded_scene(file: Path, folder: Path, num_frames: int | None = None) -> Scene:
    """A recorded body alone, as a folder with nothing but a BVH has it."""
    (folder / "bvhs").mkdir(parents=True)
    shutil.copy(file, folder / "bvhs" / file.name)
    scene = open_source(folder).scene(file.stem)
    return scene if num_frames is None else cut(scene, num_frames)


def cut(scene: Scene, num_frames: int) -> Scene:
    """The first frames of a scene."""
    num_frames = min(num_frames, scene.num_frames)
    variants = tuple(
        replace(
            variant,
            performances=tuple(
                Performance(
                    p.motion.frames(slice(0, num_frames)), None if p.face is None else p.face[:num_frames]
                )
                for p in variant.performances
            ),
        )
        for variant in scene.variants
    )
    return replace(scene, num_frames=num_frames, variants=variants)


def ict_rig(real_data: Path) -> Rig:
    """The head of ICT FaceKit, 26,719 vertices."""
    return import_rig(real_data / "rig" / "ict_facekit_expressions.npz")


def head_vertices(
    motion: Motion, rig: Rig, face: np.ndarray | None, world: np.ndarray, turned: np.ndarray, frame: int
) -> np.ndarray:
    """Where a rig's vertices (V, 3) are in a frame, in cm: neutral plus weights times shapes, on the Head.

    world (T, J, 3), turned (T, J, 4): `forward_kinematics`.
    """
    weights = np.zeros(len(arkit.NAMES)) if face is None else face[frame].astype(float)
    vertices = rig.neutral.astype(float) + np.einsum("k,kva->va", weights, rig.deltas.astype(float))
    place, turn = head_place(motion, rig)
    joint = motion.aliases()["Head"]
    on_joint = place + rotations.rotate(turn, vertices)
    return world[frame, joint] + rotations.rotate(turned[frame, joint], on_joint)


def ten_frames(num_frames: int) -> list[int]:
    """Ten frames over a take, the first and the last among them."""
    return np.linspace(0, num_frames - 1, 10).round().astype(int).tolist()
