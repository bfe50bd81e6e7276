"""Small rigs for tests, as arrays, folders of OBJ files and glTF files written byte by byte."""

import json
import struct
from pathlib import Path

import numpy as np

from pipeline.formats import arkit
from pipeline.formats.obj import write_obj
from pipeline.formats.rig_names import without_side

QUADS = np.array([[i, i + 1, i + 9, i + 8] for row in range(7) for i in range(8 * row, 8 * row + 7)])
TRIANGLES = np.concatenate([QUADS[:, [0, 1, 2]], QUADS[:, [0, 2, 3]]])


def head() -> tuple[np.ndarray, np.ndarray]:
    """A sheet of 8 x 8 vertices as high as a head, and 51 shapes (51, 64, 3) that differ.

    (64, 3) cm with the actor's left at +x.
    """
    across, up = np.meshgrid(np.linspace(-8, 8, 8), np.linspace(-12, 12, 8))
    neutral = np.stack([across, up, -0.05 * across**2], -1).reshape(-1, 3)
    rng = np.random.default_rng(0)
    deltas = rng.normal(0, 0.3, (len(arkit.NAMES), 64, 3))
    for name, delta in zip(arkit.NAMES, deltas):
        base, side = without_side(name)
        if side:
            sign = 1 if side == "Left" else -1
            if base in ("jaw", "mouth"):
                delta[:, 0] = sign * np.abs(delta[:, 0])
            else:
                delta[sign * neutral[:, 0] < 0] = 0
    return neutral.round(4), deltas.round(4)


def ict_shapes() -> dict[str, np.ndarray]:
    """The shapes of `head` by ICT FaceKit's names: the two joined ones halved, and two that ARKit lacks."""
    shapes = {}
    for name, delta in zip(arkit.NAMES, head()[1]):
        base, side = without_side(name)
        if name in ("browInnerUp", "cheekPuff"):
            shapes |= {f"{name}_L": delta - 0.25, f"{name}_R": np.full_like(delta, 0.25)}
        else:
            shapes[f"{base}_{side[0]}" if side and base not in ("jaw", "mouth") else name] = delta
    return shapes | {"cheekRaiser_L": shapes["jawOpen"], "PupilDilate_R": shapes["jawOpen"]}


def ict_folder(folder: Path) -> Path:
    """A folder as ICT FaceKit has it, in cm."""
    neutral = head()[0]
    folder.mkdir()
    meshes = {"generic_neutral_mesh": neutral, "identity000": 1.1 * neutral} | {
        name: neutral + delta for name, delta in ict_shapes().items()
    }
    for name, vertices in meshes.items():
        write_obj(folder / f"{name}.obj", vertices, QUADS)
    return folder


class Gltf:
    """A glTF file in the making: accessors go into one binary buffer."""

    def __init__(self):
        self.json = {
            "asset": {"version": "2.0"},
            "accessors": [],
            "bufferViews": [],
            "meshes": [],
            "nodes": [],
        }
        self.binary = b""

    def view(self, array: np.ndarray, **more) -> int:
        self.json["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.binary), "byteLength": array.nbytes} | more
        )
        self.binary += array.tobytes() + b"\0" * (-array.nbytes % 4)
        return len(self.json["bufferViews"]) - 1

    def accessor(self, array: np.ndarray, **more) -> int:
        """Index of a new accessor of rows (n, 3), (n, 4), (n, 16) or of numbers (n,)."""
        kind = {"f4": 5126, "u4": 5125, "u2": 5123, "i2": 5122, "u1": 5121, "i1": 5120}[array.dtype.str[1:]]
        width = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[array.shape[1] if array.ndim > 1 else 1]
        self.json["accessors"].append(
            {"bufferView": self.view(array), "componentType": kind, "count": len(array), "type": width} | more
        )
        return len(self.json["accessors"]) - 1

    def primitive(self, neutral: np.ndarray, deltas: np.ndarray, triangles: np.ndarray = TRIANGLES) -> dict:
        positions, targets = (
            self.accessor(neutral.astype("<f4")),
            [{"POSITION": self.accessor(delta.astype("<f4"))} for delta in deltas],
        )
        return {
            "attributes": {"POSITION": positions},
            "indices": self.accessor(triangles.reshape(-1).astype("<u2")),
            "targets": targets,
        }

    def mesh(self, primitives: list[dict], names, *, name: str = "Head", **node) -> None:
        """Add a mesh and a node that shows it."""
        self.json["meshes"].append(
            {"name": name, "primitives": primitives, "extras": {"targetNames": list(names)}}
        )
        self.json["nodes"].append({"name": f"{name} node", "mesh": len(self.json["meshes"]) - 1} | node)

    def save(self, path: Path) -> Path:
        """Write it as .glb, or as .gltf with its buffer as told by `json["buffers"]`."""
        if path.suffix == ".gltf":
            path.write_text(json.dumps(self.json))
            return path
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        chunks = (
            struct.pack("<II", len(text), 0x4E4F534A)
            + text
            + struct.pack("<II", len(self.binary), 0x004E4942)
            + self.binary
        )
        path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)
        return path


def head_gltf() -> Gltf:
    """The head in metres with ARKit's names."""
    neutral, deltas = head()
    gltf = Gltf()
    gltf.mesh([gltf.primitive(neutral / 100, deltas / 100)], arkit.NAMES)
    return gltf
