"""Meshes with morph targets out of glTF 2.0: `.glb`, and `.gltf` with its buffers beside it or inside.

Read are positions, POSITION targets and triangles, plain, sparse or quantised, as the file's default scene
places them; meshes that hang on a skeleton stand in the pose of the scene. Everything else is passed over.
Lengths are those of the file, metres by the format's rule. Buffers are read from the file's own folder and
below it, nowhere else.
"""

import base64
import binascii
import json
import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from pipeline.errors import InputError
from pipeline.reading import MEBIBYTE, inside, parse_json, read_bytes, read_json, reading

COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
COMPRESSIONS = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression")
GLB_JSON, GLB_BINARY = 0x4E4F534A, 0x004E4942
TRIANGLES = 4
MOST_GLTF_BYTES = 4096 * MEBIBYTE
"""Bytes of a file or buffer: what a .glb can say of its own length."""
MOST_NODES = 100_000
"""Nodes of a file: a whole film set."""
MOST_TARGETS = 4_000
"""Morph targets of a mesh: a film's head has some hundred."""
MOST_ELEMENTS = 30_000_000
"""Elements of an accessor: corners of ten million triangles."""
MOST_ZEROS = 5_000_000
"""Elements of an accessor that has no values in the file but those of a few."""
MOST_NUMBERS = 500_000_000
"""Numbers that are read of a file in all: 100 shapes of a mesh of 1.6 million vertices."""
MOST_JOINT_SETS = 16
"""Sets of four joints on which a vertex may hang."""


@dataclass(frozen=True)
class Morphs:
    """One mesh of a scene, all float64 and int32.

    vertices (V, 3), K target names, deltas (K, V, 3), triangles (F, 3).

    `mesh` and `node` are the names by which it can be chosen; either may be empty.
    """

    mesh: str
    node: str
    vertices: np.ndarray
    names: list[str]
    deltas: np.ndarray
    triangles: np.ndarray


def read_gltf(path: Path) -> list[Morphs]:
    """The meshes with morph targets of a .glb or .gltf file, in the order of its nodes."""
    path = Path(path)
    with reading(path, "glTF 2.0 file", fix="export it again"):
        return _File(path).morphs()


def _chunks(path: Path) -> tuple[dict, bytes | None]:
    """JSON and binary chunk of a .glb file."""
    data = read_bytes(path, most=MOST_GLTF_BYTES)
    if len(data) < 12 or data[:4] != b"glTF":
        raise InputError(
            f"{path}: {len(data)} bytes that do not begin with glTF, need a binary glTF 2.0 file; copy or"
            " export it again"
        )
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise InputError(f"{path}: glTF version {version}, need 2; export it again")
    if len(data) < length:
        raise InputError(f"{path}: cut off, {len(data)} bytes of {length}; copy or export it again")
    found: dict[int, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<II", data, at)
        if at + 8 + size > length:
            raise InputError(
                f"{path}: cut off, a chunk of {size} bytes at {at} in a file of {length}; copy or export it"
                " again"
            )
        found.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if GLB_JSON not in found:
        raise InputError(f"{path}: no JSON chunk, need a binary glTF 2.0 file; copy or export it again")
    return parse_json(found[GLB_JSON].rstrip(b"\0"), path, kind=dict, fix="export it again"), found.get(
        GLB_BINARY
    )


class _File:
    """A parsed file whose buffers are read when they are needed."""

    def __init__(self, path: Path):
        self.path = path
        self.binary: bytes | None = None
        if path.suffix.lower() == ".glb":
            self.json, self.binary = _chunks(path)
        else:
            self.json = read_json(path, kind=dict, most=MOST_GLTF_BYTES, fix="export it again")
        if str(self.json["asset"]["version"]).split(".")[0] != "2":
            raise InputError(f"{path}: glTF version {self.json['asset']['version']}, need 2; export it again")
        self._refuse_compressed(self.json.get("extensionsRequired", []))
        self.buffers: dict[int, bytes] = {}
        self.num_numbers = 0

    def _take(self, num_numbers: int) -> None:
        """Count numbers that are about to be read; InputError where no real file has so many."""
        self.num_numbers += num_numbers
        if self.num_numbers > MOST_NUMBERS:
            raise InputError(
                f"{self.path}: its meshes have more than {MOST_NUMBERS:,} numbers; export fewer shapes, or a"
                " mesh with fewer vertices"
            )

    def _refuse_compressed(self, extensions) -> None:
        for name in COMPRESSIONS:
            if name in extensions:
                raise InputError(
                    f"{self.path}: compressed ({name}), which is not read; export it again without"
                    " compression"
                )

    def morphs(self) -> list[Morphs]:
        result = []
        worlds = self._worlds()
        for i in sorted(worlds):
            node = self.json["nodes"][i]
            mesh = self.json["meshes"][node["mesh"]] if "mesh" in node else {"primitives": []}
            if any(primitive.get("targets") for primitive in mesh["primitives"]):
                result.append(self._morphs(mesh, i, worlds))
        return result

    def _worlds(self) -> dict[int, np.ndarray]:
        """World matrix (4, 4) by node, of the nodes in the default scene.

        Of all nodes where there is no scene.
        """
        nodes = self.json.get("nodes", [])
        if len(nodes) > MOST_NODES:
            raise InputError(
                f"{self.path}: {len(nodes):,} nodes, need at most {MOST_NODES:,}; export the head alone"
            )
        children = {child for node in nodes for child in node.get("children", [])}
        scenes = self.json.get("scenes")
        roots = (
            scenes[self.json.get("scene", 0)].get("nodes", [])
            if scenes
            else [i for i in range(len(nodes)) if i not in children]
        )
        worlds: dict[int, np.ndarray] = {}
        waiting = [(root, np.eye(4)) for root in roots]
        while waiting:
            i, above = waiting.pop()
            if i in worlds:
                raise ValueError(f"node {i} has two parents")
            worlds[i] = above @ _local(nodes[i])
            waiting += [(child, worlds[i]) for child in nodes[i].get("children", [])]
        return worlds

    def _morphs(self, mesh: dict, index: int, worlds: dict[int, np.ndarray]) -> Morphs:
        """A node's mesh, its primitives joined.

        Those that share vertices, as parts of different material may, only add triangles.
        """
        node = self.json["nodes"][index]
        label = mesh.get("name") or node.get("name") or f"mesh {node['mesh']}"
        names: dict[str, None] = {}  # in the order in which they come
        parts: dict[str, tuple[np.ndarray, list[str], np.ndarray, int]] = {}
        triangles: list[np.ndarray] = []
        num_vertices = 0
        for primitive in mesh["primitives"]:
            self._refuse_compressed(primitive.get("extensions", {}))
            if primitive.get("mode", TRIANGLES) != TRIANGLES:
                raise InputError(
                    f"{self.path}: mesh {label!r} is drawn in mode {primitive['mode']!r:.40}, need triangles"
                    f" ({TRIANGLES}); export it again"
                )
            attributes, targets = primitive["attributes"], primitive.get("targets", [])
            if len(targets) > MOST_TARGETS:
                raise InputError(
                    f"{self.path}: mesh {label!r}: {len(targets):,} morph targets, need at most"
                    f" {MOST_TARGETS:,}; export the face's alone"
                )
            key = json.dumps([attributes, targets], sort_keys=True)
            if key not in parts:
                vertices = self._read(attributes["POSITION"], 3)
                own = self._target_names(mesh, primitive, label)
                self._take(len(targets) * vertices.size)
                deltas = np.zeros((len(targets), *vertices.shape))
                for delta, target in zip(deltas, targets):
                    if "POSITION" in target:
                        delta[:] = self._read(target["POSITION"], 3)
                place = (
                    self._skin(node, attributes, worlds)
                    if "skin" in node
                    else np.broadcast_to(worlds[index], (len(vertices), 4, 4))
                )
                vertices = np.einsum("vij,vj->vi", place[:, :3, :3], vertices) + place[:, :3, 3]
                parts[key] = vertices, own, np.einsum("vij,kvj->kvi", place[:, :3, :3], deltas), num_vertices
                num_vertices += len(vertices)
                names |= dict.fromkeys(own)
            vertices, _, _, first = parts[key]
            indices = (
                self._read(primitive["indices"], 1)[:, 0].astype(np.int64)
                if "indices" in primitive
                else np.arange(len(vertices))
            )
            if len(indices) % 3 or (len(indices) and not 0 <= indices.min() <= indices.max() < len(vertices)):
                need = f"a multiple of 3 of them, below {len(vertices)}"
                raise InputError(
                    f"{self.path}: mesh {label!r}: {len(indices)} indices up to {indices.max()}, need {need};"
                    " export it again"
                )
            mirrored = (
                "skin" not in node and np.linalg.det(worlds[index][:3, :3]) < 0
            )  # its triangles would face inwards
            triangles.append(indices.reshape(-1, 3)[:, :: -1 if mirrored else 1] + first)
        self._take(len(names) * num_vertices * 3)
        joined = np.zeros((len(names), num_vertices, 3))
        row = {name: i for i, name in enumerate(names)}
        for vertices, own, deltas, first in parts.values():
            joined[[row[name] for name in own], first : first + len(vertices)] = deltas
        positions = np.concatenate([vertices for vertices, *_ in parts.values()])
        if not (np.isfinite(positions).all() and np.isfinite(joined).all()):
            raise InputError(
                f"{self.path}: mesh {label!r}: its nodes take vertices beyond all numbers; export it again"
            )
        return Morphs(
            mesh.get("name", ""),
            node.get("name", ""),
            positions,
            list(names),
            joined,
            np.concatenate(triangles).astype(np.int32),
        )

    def _target_names(self, mesh: dict, primitive: dict, label: str) -> list[str]:
        """Names of a primitive's targets.

        Extras of the mesh or of the primitive, else names of the targets' accessors.
        """
        targets = primitive.get("targets", [])
        for owner in (mesh, primitive):
            extras = owner.get("extras")
            names = extras.get("targetNames") if isinstance(extras, dict) else None
            if names and targets:
                if not isinstance(names, list):
                    raise InputError(f"{self.path}: mesh {label!r}: targetNames are no list; export it again")
                if len(names) % len(targets) == 0 and names == names[: len(targets)] * (
                    len(names) // len(targets)
                ):
                    names = names[: len(targets)]  # some exporters write them once for each primitive
                if len(names) != len(targets):
                    raise InputError(
                        f"{self.path}: mesh {label!r}: {len(names)} targetNames, need {len(targets)}; export"
                        " it again"
                    )
                break
        else:
            names = [
                self.json["accessors"][target["POSITION"]].get("name") if "POSITION" in target else None
                for target in targets
            ]
        unnamed = [i for i, name in enumerate(names) if not isinstance(name, str) or not name]
        if unnamed:
            raise InputError(
                f"{self.path}: mesh {label!r}: morph target {unnamed[0]} has no name; export it with the"
                " names of the shapes"
            )
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise InputError(
                f"{self.path}: mesh {label!r}: two morph targets are called {twice[0]!r:.60}; rename one and"
                " export again"
            )
        return list(names)

    def _skin(self, node: dict, attributes: dict, worlds: dict[int, np.ndarray]) -> np.ndarray:
        """Matrix (V, 4, 4) of each vertex: the joints' share, in the pose of the scene.

        The node's own place does not count.
        """
        skin = self.json["skins"][node["skin"]]
        if len(skin["joints"]) > MOST_NODES or f"JOINTS_{MOST_JOINT_SETS}" in attributes:
            raise ValueError(
                f"a skin of {len(skin['joints'])} joints, need at most {MOST_NODES}, in at most"
                f" {MOST_JOINT_SETS} sets a vertex"
            )
        joints = np.stack([worlds[joint] for joint in skin["joints"]])
        if "inverseBindMatrices" in skin:
            joints = joints @ self._read(skin["inverseBindMatrices"], 16).reshape(-1, 4, 4).transpose(
                0, 2, 1
            )  # stored by columns
        total: np.ndarray | None = None
        shares: np.ndarray | None = None
        for k in range(len(attributes)):
            if f"JOINTS_{k}" not in attributes:
                break
            self._take(16 * self.json["accessors"][attributes[f"JOINTS_{k}"]]["count"])
            which, share = (
                self._read(attributes[f"JOINTS_{k}"], 4).astype(np.int64),
                self._read(attributes[f"WEIGHTS_{k}"], 4),
            )
            part = np.einsum("vw,vwij->vij", share, joints[which])
            total, shares = (
                (part, share.sum(1))
                if total is None or shares is None
                else (total + part, shares + share.sum(1))
            )
        if total is None or shares is None:
            raise ValueError("a skinned mesh without JOINTS_0")
        if (shares <= 0).any():
            raise ValueError(f"vertex {int(np.argmin(shares))} hangs on no joint")
        return total / shares[:, None, None]

    def _read(self, index: int, width: int) -> np.ndarray:
        """An accessor as (n, width) float64; normalised integers become -1 to 1."""
        accessor = self.json["accessors"][index]
        count, dtype = accessor["count"], np.dtype(COMPONENTS[accessor["componentType"]])
        if not isinstance(count, int) or not 0 <= count <= MOST_ELEMENTS:
            raise ValueError(f"accessor {index} has {count!r:.40} elements, need 0 to {MOST_ELEMENTS:,}")
        self._take(count * width)
        if WIDTHS.get(accessor["type"]) != width:
            raise ValueError(f"accessor {index} holds {accessor['type']}, need {width} numbers an element")
        if "bufferView" in accessor:
            values = self._view(
                accessor["bufferView"], accessor.get("byteOffset", 0), count, width, dtype
            ).astype(np.float64)
        elif count > MOST_ZEROS:
            raise ValueError(
                f"accessor {index} has {count:,} elements without values, need at most {MOST_ZEROS:,}"
            )
        else:
            values = np.zeros((count, width))
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            where, what = sparse["indices"], sparse["values"]
            if not 0 <= sparse["count"] <= count:
                raise ValueError(f"accessor {index} replaces {sparse['count']!r:.40} of {count} elements")
            kind = np.dtype(COMPONENTS[where["componentType"]])
            rows = self._view(where["bufferView"], where.get("byteOffset", 0), sparse["count"], 1, kind)[:, 0]
            values[rows] = self._view(
                what["bufferView"], what.get("byteOffset", 0), sparse["count"], width, dtype
            )
        if accessor.get("normalized") and dtype.kind in "iu":
            values = np.maximum(values / np.iinfo(dtype).max, -1)
        if not np.isfinite(values).all():
            raise InputError(f"{self.path}: NaN or infinite numbers in accessor {index}; export it again")
        return values

    def _view(self, index: int, offset: int, count: int, width: int, dtype: np.dtype) -> np.ndarray:
        """Elements (count, width) of a buffer view."""
        view = self.json["bufferViews"][index]
        self._refuse_compressed(view.get("extensions", {}))
        data = self._buffer(view["buffer"])
        begin, stride = view.get("byteOffset", 0) + offset, view.get("byteStride", width * dtype.itemsize)
        if min(offset, stride, view["byteLength"], view.get("byteOffset", 0)) < 0:
            raise ValueError(f"bufferView {index} lies before its buffer")
        end = begin + (count - 1) * stride + width * dtype.itemsize
        limit = view.get("byteOffset", 0) + view["byteLength"]
        if count and not 0 <= begin <= end <= min(limit, len(data)):
            raise InputError(
                f"{self.path}: cut off, bufferView {index} needs bytes up to {end}, has"
                f" {min(limit, len(data))}; copy or export it again"
            )
        return np.ndarray((count, width), dtype, data, begin, (stride, dtype.itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self.buffers:
            buffer = self.json["buffers"][index]
            uri = buffer.get("uri")
            if uri is None:
                if index or self.binary is None:
                    raise InputError(f"{self.path}: no data for buffer {index}; copy or export it again")
                data = self.binary
            elif not isinstance(uri, str):
                raise ValueError(f"buffer {index} has no uri that is a text")
            elif uri.startswith("data:"):
                head, _, text = uri.partition(",")
                if not head.endswith(";base64"):
                    raise ValueError(f"buffer {index} is {head[:40]!r}, need base64")
                try:
                    data = base64.b64decode(text, validate=True)
                except binascii.Error as error:
                    raise InputError(
                        f"{self.path}: buffer {index} is not base64 ({error}); copy or export it again"
                    ) from None
            else:
                data = self._beside(unquote(uri))
            if len(data) < buffer["byteLength"]:
                raise InputError(
                    f"{self.path}: cut off, buffer {index} has {len(data)} bytes of {buffer['byteLength']};"
                    " copy or export it again"
                )
            self.buffers[index] = data
        return self.buffers[index]

    def _beside(self, name: str) -> bytes:
        """Bytes of a buffer's file, which lies in the folder of this one or below it."""
        if (
            re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", name)
            or Path(name).is_absolute()
            or ".." in Path(name).parts
        ):
            raise InputError(
                f"{self.path}: its buffer {name!r:.100} lies elsewhere, need a file beside it; copy it there,"
                " or export as .glb"
            )
        beside = inside(
            self.path.parent, self.path.parent / name, what=f"{self.path}: its buffer {name!r:.100}"
        )
        try:
            return read_bytes(beside, most=MOST_GLTF_BYTES)
        except InputError as error:
            raise InputError(
                f"{self.path}: its buffer {beside} cannot be read ({error}); copy it along, or export as .glb"
            ) from None


def _local(node: dict) -> np.ndarray:
    """Matrix (4, 4) of a node in its parent."""
    if not np.isfinite(
        [
            float(number)
            for key in ("matrix", "rotation", "scale", "translation")
            for number in node.get(key, ())
        ]
    ).all():
        raise ValueError(f"node {node.get('name', '')!r} stands nowhere")
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T  # stored by columns
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    result = np.eye(4)
    result[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)), float)
    result[:3, 3] = node.get("translation", (0, 0, 0))
    return result
