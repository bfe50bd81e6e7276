"""A scene as one binary glTF 2.0 file: two skinned bodies, heads with morph targets, an animation a variant.

In: a Scene. Out: a .glb in metres, y up, on one clock in seconds from frame 0. pygltflib writes the
container.

What is kept: rotations and weights are floats, a key a frame; what never moves has one key. A head has the
rig's vertices in their order, and its shapes as sparse accessors: of each vertex, the smallest deltas are
left out as long as they add up to less than LEFT_OUT_CM, so that no weights up to 1 can move a vertex by more
than that from where the rig has it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pygltflib as gltf

from pipeline.figures.strips import COLOURS
from pipeline.files import whole
from pipeline.formats import arkit
from pipeline.formats.rig_file import Rig
from pipeline.motion import rotations
from pipeline.view import mannequin
from pipeline.view.scene import Performance, Person, Scene, Variant

METRES = 0.01
"""Metres in a centimetre."""
LEFT_OUT_CM = 0.0005
"""How far all deltas together that are left out may move a vertex: half of 0.01 mm."""
SKIN_COLOUR = "#d9b59c"
STILL = 1e-7
"""Rotations and places (cm) that change by less have one key."""


@dataclass(frozen=True)
class Character:
    """A person with one skeleton: what variants that have it share."""

    person: int
    performance: Performance

    def faced(self, people: tuple[Person, ...]) -> Rig | None:
        """The rig of its head, None where it has no face."""
        rig = people[self.person].rig
        return rig if rig is not None and "Head" in self.performance.motion.aliases() else None


def characters(scene: Scene) -> tuple[list[Character], dict[str, tuple[int, ...]]]:
    """The characters of a scene, and which of them each variant shows, by the variant's key."""
    found: list[Character] = []
    known: dict[tuple, int] = {}
    shown = {}
    for variant in scene.variants:
        numbers = []
        for person, performance in enumerate(variant.performances):
            key = (person, *performance.skeleton())
            if key not in known:
                known[key] = len(found)
                found.append(Character(person, performance))
            numbers.append(known[key])
        shown[variant.key] = tuple(numbers)
    return found, shown


def shapes(rig: Rig) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each ARKit shape, the vertices (n,) that it moves and by how much (n, 3), in cm.

    See the module for what is left out.
    """
    travel = np.linalg.norm(rig.deltas, axis=-1)
    order = np.argsort(travel, axis=0, kind="stable")
    total = np.cumsum(np.take_along_axis(travel, order, 0), axis=0)
    kept = np.empty(travel.shape, bool)
    np.put_along_axis(kept, order, total > LEFT_OUT_CM, 0)
    return [(np.flatnonzero(moved), delta[moved]) for moved, delta in zip(kept & (travel > 0), rig.deltas)]


def linear_colour(colour: str) -> list[float]:
    """A colour `#rrggbb` as glTF has it: linear RGB from 0 to 1, opaque."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    values = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return [*(round(float(value), 6) for value in values), 1.0]


def write_glb(scene: Scene, out: Path) -> None:
    """Write a scene with all its variants, whole or not at all."""
    content = b"".join(_Maker(scene).document().save_to_bytes())
    with whole(out) as temporary:
        temporary.write_bytes(content)


class _Maker:
    """A document that grows part by part."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.characters, self.shown = characters(scene)
        self.file = gltf.GLTF2(
            asset=gltf.Asset(
                version="2.0",
                generator="InterAct pipeline",
                extras={"take": scene.take, "fps": scene.fps, "frames": scene.num_frames},
            ),
            scene=0,
            scenes=[gltf.Scene(name=scene.take, nodes=[])],
        )
        self.blob = bytearray()
        self.joint_nodes: list[list[int]] = []
        self.head_nodes: list[int | None] = []
        self.times: dict[int, int] = {}

    def document(self) -> gltf.GLTF2:
        """The whole file."""
        bodies = []
        for number in range(len(self.characters)):
            bodies.append(self.character(number))
        self.file.scenes[0].nodes += bodies  # a skinned mesh stands where its joints are, not below them
        for variant in self.scene.variants:
            self.animation(variant)
        self.file.buffers = [gltf.Buffer(byteLength=len(self.blob))]
        self.file.set_binary_blob(bytes(self.blob))
        return self.file

    # buffers ----------------------------------------------------------------------------------------------

    def view(self, data: bytes, target: int | None = None) -> int:
        """Append bytes as a view of the buffer; its index."""
        self.blob += bytes(-len(self.blob) % 4)
        self.file.bufferViews.append(
            gltf.BufferView(buffer=0, byteOffset=len(self.blob), byteLength=len(data), target=target)
        )
        self.blob += data
        return len(self.file.bufferViews) - 1

    def accessor(
        self,
        values: np.ndarray,
        kind: str,
        *,
        view: int | None = None,
        offset: int = 0,
        target: int | None = None,
        bounds: bool = False,
    ) -> int:
        """Append an accessor of an array (n,) or (n, k), in a view of its own or at a place in one."""
        component = {
            "f": gltf.FLOAT,
            "B": gltf.UNSIGNED_BYTE,
            "H": gltf.UNSIGNED_SHORT,
            "I": gltf.UNSIGNED_INT,
        }
        rows = values.reshape(len(values), -1)
        self.file.accessors.append(
            gltf.Accessor(
                bufferView=self.view(values.tobytes(), target) if view is None else view,
                byteOffset=offset,
                componentType=component[values.dtype.char],
                count=len(values),
                type=kind,
                min=rows.min(0).tolist() if bounds else None,
                max=rows.max(0).tolist() if bounds else None,
            )
        )
        return len(self.file.accessors) - 1

    # people -----------------------------------------------------------------------------------------------

    def node(self, **values) -> int:
        """Append a node; its index."""
        self.file.nodes.append(gltf.Node(**values))
        return len(self.file.nodes) - 1

    def character(self, number: int) -> int:
        """Append joints, body and head of a character; the index of its body's node."""
        character = self.characters[number]
        person, motion = self.scene.people[character.person], character.performance.motion
        again = sum(other.person == character.person for other in self.characters[:number])
        name = person.actor if not again else f"{person.actor} ({again + 1})"
        offsets = np.asarray(motion.offsets_cm, float) * METRES
        joints = [
            self.node(name=joint, translation=offset.tolist(), children=[])
            for joint, offset in zip(motion.names, offsets)
        ]
        for j, parent in enumerate(motion.parents):
            if parent >= 0:
                self.file.nodes[joints[parent]].children.append(joints[j])
        roots = [joints[j] for j, parent in enumerate(motion.parents) if parent < 0]
        self.file.scenes[0].nodes.append(self.node(name=name, children=roots))
        self.joint_nodes.append(joints)
        rig = character.faced(self.scene.people)
        colour = self.material(f"actor {name}", COLOURS[character.person % len(COLOURS)], double_sided=False)
        body = self.body(motion, name, joints, colour, head=rig is None or mannequin.is_mask(rig))
        self.head_nodes.append(None if rig is None else self.head(motion, rig, name, joints))
        return body

    def material(self, name: str, colour: str, *, double_sided: bool) -> int:
        """Append a matt material; its index."""
        self.file.materials.append(
            gltf.Material(
                name=name,
                pbrMetallicRoughness=gltf.PbrMetallicRoughness(
                    baseColorFactor=linear_colour(colour), metallicFactor=0.0, roughnessFactor=0.75
                ),
                doubleSided=double_sided,
                alphaCutoff=None,
            )
        )
        return len(self.file.materials) - 1

    def body(self, motion, name: str, joints: list[int], material: int, *, head: bool) -> int:
        """Append the skinned mannequin; the index of its node."""
        skin = mannequin.mannequin(motion, head=head)
        rest = mannequin.rest_places(motion) * METRES
        back = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
        back[:, 3, :3] = -rest  # columns first
        self.file.skins.append(
            gltf.Skin(
                name=name,
                joints=joints,
                skeleton=joints[0],
                inverseBindMatrices=self.accessor(back.reshape(-1, 16), "MAT4"),
            )
        )
        narrow = np.uint8 if len(joints) <= 256 else np.uint16
        array = gltf.ARRAY_BUFFER
        attributes = gltf.Attributes(
            POSITION=self.accessor(
                (skin.vertices * METRES).astype(np.float32), "VEC3", target=array, bounds=True
            ),
            NORMAL=self.accessor(skin.normals.astype(np.float32), "VEC3", target=array),
            JOINTS_0=self.accessor(skin.joints.astype(narrow), "VEC4", target=array),
            WEIGHTS_0=self.accessor(skin.weights.astype(np.float32), "VEC4", target=array),
        )
        mesh = self.mesh(f"{name} body", attributes, skin.faces, material)
        return self.node(name=f"{name} body", mesh=mesh, skin=len(self.file.skins) - 1)

    def mesh(self, name: str, attributes, faces: np.ndarray, material: int, **values) -> int:
        """Append a mesh of triangles; its index."""
        wide = np.uint16 if faces.max(initial=0) < 65_535 else np.uint32
        indices = self.accessor(faces.astype(wide).reshape(-1), "SCALAR", target=gltf.ELEMENT_ARRAY_BUFFER)
        targets = values.pop("targets", [])
        primitive = gltf.Primitive(attributes=attributes, indices=indices, material=material, targets=targets)
        self.file.meshes.append(gltf.Mesh(name=name, primitives=[primitive], **values))
        return len(self.file.meshes) - 1

    def head(self, motion, rig: Rig, name: str, joints: list[int]) -> int:
        """Append a head below the Head joint; the index of its node."""
        faces = mannequin.shown_faces(rig)
        place, turn = mannequin.head_place(motion, rig)
        material = self.material(f"skin {name}", SKIN_COLOUR, double_sided=True)
        neutral = (rig.neutral.astype(float) * METRES).astype(np.float32)
        array = gltf.ARRAY_BUFFER
        attributes = gltf.Attributes(
            POSITION=self.accessor(neutral, "VEC3", target=array, bounds=True),
            NORMAL=self.accessor(
                mannequin.vertex_normals(rig.neutral, faces).astype(np.float32), "VEC3", target=array
            ),
        )
        mesh = self.mesh(
            f"{name} head",
            attributes,
            faces,
            material,
            targets=self.targets(rig),
            weights=[0.0] * len(arkit.NAMES),
            extras={"targetNames": list(arkit.NAMES)},
        )
        node = self.node(
            name=f"{name} head", mesh=mesh, translation=(place * METRES).tolist(), rotation=_unit(turn)
        )
        self.file.nodes[joints[motion.aliases()["Head"]]].children.append(node)
        return node

    def targets(self, rig: Rig) -> list[gltf.Attributes]:
        """Append the shapes of a rig as sparse accessors; its morph targets."""
        found = shapes(rig)
        wide = np.dtype(np.uint16 if len(rig.neutral) <= 65_535 else np.uint32)
        values = [(delta.astype(float) * METRES).astype(np.float32) for _, delta in found]
        indices_at = self.view(b"".join(_padded(vertices.astype(wide).tobytes()) for vertices, _ in found))
        values_at = self.view(b"".join(part.tobytes() for part in values))
        targets, first, start = [], 0, 0
        for (vertices, _), delta in zip(found, values):
            bounds = np.concatenate([delta, np.zeros((1, 3), np.float32)])
            sparse = None
            if len(vertices):
                sparse = gltf.Sparse(
                    count=len(vertices),
                    indices=gltf.AccessorSparseIndices(
                        bufferView=indices_at,
                        byteOffset=first,
                        componentType=gltf.UNSIGNED_SHORT if wide.itemsize == 2 else gltf.UNSIGNED_INT,
                    ),
                    values=gltf.AccessorSparseValues(bufferView=values_at, byteOffset=start),
                )
            self.file.accessors.append(
                gltf.Accessor(
                    byteOffset=None,
                    componentType=gltf.FLOAT,
                    count=len(rig.neutral),
                    type="VEC3",
                    min=bounds.min(0).tolist(),
                    max=bounds.max(0).tolist(),
                    sparse=sparse,
                )
            )
            targets.append(gltf.Attributes(POSITION=len(self.file.accessors) - 1))
            first += len(_padded(bytes(wide.itemsize * len(vertices))))
            start += delta.nbytes
        return targets

    # movement ---------------------------------------------------------------------------------------------

    def clock(self, num_keys: int) -> int:
        """The accessor of the times of `num_keys` frames."""
        if num_keys not in self.times:
            times = (np.arange(num_keys) / self.scene.fps).astype(np.float32)
            self.times[num_keys] = self.accessor(times, "SCALAR", bounds=True)
        return self.times[num_keys]

    def animation(self, variant: Variant) -> None:
        """Append the movement of a variant."""
        tracks = []  # node, path, values (keys, k)
        for number, performance in zip(self.shown[variant.key], variant.performances):
            motion, nodes = performance.motion, self.joint_nodes[number]
            for j, node in enumerate(nodes):
                places = motion.positions_cm[:, j]
                if motion.parents[j] < 0 or np.abs(places - motion.offsets_cm[j]).max() > STILL:
                    tracks.append((node, "translation", _few(places * METRES)))
                tracks.append((node, "rotation", _few(_continuous(motion.rotations[:, j]))))
            head = self.head_nodes[number]
            if head is not None:
                face = performance.face
                weights = np.zeros((1, len(arkit.NAMES))) if face is None else face
                tracks.append((head, "weights", _few(weights)))
        kinds = {"translation": "VEC3", "rotation": "VEC4", "weights": "SCALAR"}
        arrays = [values.astype(np.float32) for _, _, values in tracks]
        view, offset = self.view(b"".join(values.tobytes() for values in arrays)), 0
        samplers, channels = [], []
        for (node, path, _), values in zip(tracks, arrays):
            shown = values.reshape(-1) if path == "weights" else values
            output = self.accessor(shown, kinds[path], view=view, offset=offset)
            offset += values.nbytes
            samplers.append(
                gltf.AnimationSampler(input=self.clock(len(values)), output=output, interpolation="LINEAR")
            )
            target = gltf.AnimationChannelTarget(node=node, path=path)
            channels.append(gltf.AnimationChannel(sampler=len(samplers) - 1, target=target))
        self.file.animations.append(gltf.Animation(name=variant.key, samplers=samplers, channels=channels))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _few(values: np.ndarray) -> np.ndarray:
    """The first key alone of what does not change."""
    return values[:1] if np.ptp(values, axis=0).max(initial=0) <= STILL else values


def _continuous(turned: np.ndarray) -> np.ndarray:
    """Unit quaternions (T, 4) without jumps of sign, so that what lies between two keys is the short way."""
    return rotations.normalise(rotations.continuous(np.asarray(turned, float)))


def _unit(turn: np.ndarray) -> list[float]:
    return rotations.normalise(np.asarray(turn, float)).tolist()
