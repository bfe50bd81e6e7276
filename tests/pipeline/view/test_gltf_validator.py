"""GLB files before the official validator, and read by a decoder of their own."""

import json
import subprocess
from dataclasses import replace
from functools import cache

import numpy as np
import pygltflib
import pytest
import soundfile
from helpers import needs
from helpers.scenes import FPS, cut, head_vertices, ict_rig, recorded_scene, talking_scene, ten_frames
from helpers.tiny_scene import TAKE, make_run

from pipeline.formats.arkit import NAMES
from pipeline.motion import rotations
from pipeline.motion.skeleton import forward_kinematics
from pipeline.view import export, mannequin
from pipeline.view.glb import characters, write_glb
from pipeline.view.sources import open_source

JOINTS_MM, HEAD_MM, BODY_MM = 0.1, 0.01, 0.1
MEGABYTE = 1e6


@pytest.fixture(scope="module", params=["simulated", "recorded", "cmu", "ict"])
def written(request, tmp_path_factory):
    """A scene with all its variants, and its GLB."""
    folder = tmp_path_factory.mktemp("gltf")
    if request.param == "simulated":
        scene = talking_scene()
        last = scene.variants[-1]  # another body: a character of its own
        other = replace(last.performances[1].motion, offsets_cm=1.1 * last.performances[1].motion.offsets_cm)
        performances = (last.performances[0], replace(last.performances[1], motion=other))
        scene = replace(scene, variants=(*scene.variants[:-1], replace(last, performances=performances)))
    elif request.param == "recorded":
        file = request.config.rootpath / "tests" / "recordings" / "cmu_01_03.bvh"
        scene = recorded_scene(file, folder / "source")
    else:
        real_data = request.getfixturevalue("real_data")
        if request.param == "cmu":
            scene = recorded_scene(real_data / "bvh" / "cmu_02_05.bvh", folder / "source", 90)
        else:
            rig = ict_rig(real_data)
            scene = talking_scene(31, rigs=(rig, rig), variants=("captured", "trained_models"))
    write_glb(scene, folder / "take.glb")
    return scene, folder / "take.glb"


# the official validator ---------------------------------------------------------------------------------


def report_of(path) -> dict:
    """What the validator says of a file."""
    node = needs.validator()
    command = [node, str(needs.GLTF / "validate.js"), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def complaints(report: dict) -> list[str]:
    """Errors and warnings."""
    return [
        f"{m['code']} {m.get('pointer', '')}: {m['message']}"
        for m in report["issues"]["messages"]
        if m["severity"] < 2
    ]


def test_the_validator_finds_no_error_and_no_warning(written):
    scene, path = written
    report = report_of(path)
    issues = report["issues"]
    assert not complaints(report) and not issues["numErrors"] and not issues["numWarnings"]
    assert not issues["truncated"]
    assert report["info"]["animationCount"] == len(scene.variants) and not report["info"].get(
        "extensionsUsed"
    )
    assert report["info"]["hasMorphTargets"] == any(person.rig for person in scene.people)


def test_the_validator_accepts_takes_of_a_run(tmp_path):
    needs.validator()
    make_run(tmp_path / "run")
    write_glb(open_source(tmp_path / "run").scene(TAKE), tmp_path / "take.glb")
    assert not complaints(report_of(tmp_path / "take.glb"))


def test_the_validator_finds_what_is_wrong(tmp_path):
    needs.validator()
    write_glb(talking_scene(5, variants=("captured",)), tmp_path / "take.glb")
    file = pygltflib.GLTF2().load(tmp_path / "take.glb")
    file.nodes[0].rotation = [1.0, 1.0, 0.0, 0.0]
    file.save(tmp_path / "bad.glb")
    assert any("ROTATION_NON_UNIT" in line for line in complaints(report_of(tmp_path / "bad.glb")))


# a decoder of our own -----------------------------------------------------------------------------------

TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


Moved = dict[tuple[int, str], np.ndarray]
"""Values of nodes at a time, by node and path."""


class Reader:
    """A GLB as arrays, decoded as the specification of glTF 2.0 says."""

    def __init__(self, path):
        self.file = pygltflib.GLTF2().load(path)
        self.blob = self.file.binary_blob()
        self.parent = {child: n for n, node in enumerate(self.file.nodes) for child in node.children or ()}

    def part(self, view: int, offset: int | None, dtype: str, count: int, width: int) -> np.ndarray:
        """Elements (count, width) at a place in a view of the buffer."""
        found, item = self.file.bufferViews[view], np.dtype(dtype).itemsize
        stride = found.byteStride or width * item
        start = (found.byteOffset or 0) + (offset or 0)
        assert (offset or 0) + stride * (count - 1) + width * item <= found.byteLength and start % item == 0
        rows = np.ndarray((count, width), dtype, self.blob, start, (stride, item))
        return rows.copy()

    @cache  # noqa: B019 - a reader lives as long as a test
    def values(self, accessor: int) -> np.ndarray:
        """An accessor (count, width), sparse ones filled in."""
        found = self.file.accessors[accessor]
        dtype, width = TYPES[found.componentType], WIDTHS[found.type]
        if found.bufferView is None:
            rows = np.zeros((found.count, width), dtype)
        else:
            rows = self.part(found.bufferView, found.byteOffset, dtype, found.count, width)
        if found.sparse is not None:
            at, to = found.sparse.indices, found.sparse.values
            index = self.part(at.bufferView, at.byteOffset, TYPES[at.componentType], found.sparse.count, 1)[
                :, 0
            ]
            assert (np.diff(index.astype(int)) > 0).all() and index.max() < found.count
            rows[index] = self.part(to.bufferView, to.byteOffset, dtype, found.sparse.count, width)
        if found.min:
            np.testing.assert_array_equal(rows.min(0), np.array(found.min, dtype))
            np.testing.assert_array_equal(rows.max(0), np.array(found.max, dtype))
        return rows

    def at(self, animation, seconds: float) -> Moved:
        """What an animation makes of nodes at a time: values by node and path."""
        found = {}
        for channel in animation.channels:
            sampler = animation.samplers[channel.sampler]
            assert sampler.interpolation == "LINEAR"
            times = self.values(sampler.input)[:, 0].astype(float)
            rows = self.values(sampler.output).astype(float).reshape(len(times), -1)
            k = int(np.clip(np.searchsorted(times, seconds, "right") - 1, 0, max(len(times) - 2, 0)))
            after = min(k + 1, len(times) - 1)
            share = (
                0.0 if after == k else float(np.clip((seconds - times[k]) / (times[after] - times[k]), 0, 1))
            )
            value = (1 - share) * rows[k] + share * rows[after]
            if channel.target.path == "rotation":
                value = value / np.linalg.norm(value)
            assert (channel.target.node, channel.target.path) not in found
            found[channel.target.node, channel.target.path] = value
        return found

    def matrix(self, node: int, moved: Moved) -> np.ndarray:
        """The global matrix (4, 4) of a node, for column vectors; kept in `moved`."""
        if (node, "matrix") in moved:
            return moved[node, "matrix"]
        found = self.file.nodes[node]
        assert found.matrix is None and found.scale is None
        own = np.eye(4)
        turn = moved.get((node, "rotation"), found.rotation or [0, 0, 0, 1])
        own[:3, :3] = rotations.rotate(np.asarray(turn, float)[None], np.eye(3)).T
        own[:3, 3] = moved.get((node, "translation"), found.translation or [0, 0, 0])
        if node in self.parent:
            own = self.matrix(self.parent[node], moved) @ own
        moved[node, "matrix"] = own
        return own

    def mesh(self, node: int, moved: Moved) -> np.ndarray:
        """Vertices (V, 3) of a node's mesh with its morph targets, in the axes of the node."""
        mesh = self.file.meshes[self.file.nodes[node].mesh]
        (primitive,) = mesh.primitives
        vertices = self.values(primitive.attributes.POSITION).astype(float)
        weights = moved.get((node, "weights"), mesh.weights)
        targets = primitive.targets or []
        assert len(targets) == (0 if weights is None else len(weights))
        for weight, target in zip([] if weights is None else weights, targets):
            vertices += weight * self.values(
                target["POSITION"] if isinstance(target, dict) else target.POSITION
            )
        return vertices

    def placed(self, node: int, moved: Moved) -> np.ndarray:
        """Vertices (V, 3) of a node's mesh in the world, in cm."""
        vertices = np.concatenate([self.mesh(node, moved), np.ones((self.count(node), 1))], 1)
        found = self.file.nodes[node]
        if found.skin is None:
            return 100 * (vertices @ self.matrix(node, moved).T)[:, :3]
        skin = self.file.skins[found.skin]
        back = self.values(skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
        joints = np.stack([self.matrix(j, moved) @ b for j, b in zip(skin.joints, back)])
        attributes = self.file.meshes[found.mesh].primitives[0].attributes
        held, weights = self.values(attributes.JOINTS_0), self.values(attributes.WEIGHTS_0).astype(float)
        return 100 * np.einsum("vk,vkab,vb->va", weights, joints[held], vertices)[:, :3]

    def count(self, node: int) -> int:
        (primitive,) = self.file.meshes[self.file.nodes[node].mesh].primitives
        return self.file.accessors[primitive.attributes.POSITION].count


def figures(scene, path):
    """For each variant, frame and person what a reader finds: reader, character, values, frame, truth."""
    reader = Reader(path)
    found, shown = characters(scene)
    assert [animation.name for animation in reader.file.animations] == [v.key for v in scene.variants]
    for variant, animation in zip(scene.variants, reader.file.animations):
        truth = [forward_kinematics(p.motion) for p in variant.performances]
        for frame in ten_frames(scene.num_frames):
            moved = reader.at(animation, frame / scene.fps)
            for number, performance, (world, turned) in zip(shown[variant.key], variant.performances, truth):
                yield reader, number, found[number], moved, frame, performance, world, turned


def test_joints_are_where_forward_kinematics_has_them(written):
    scene, path = written
    farthest = 0.0
    for reader, number, _, moved, frame, performance, world, _ in figures(scene, path):
        joints = reader.file.skins[number].joints
        assert [reader.file.nodes[j].name for j in joints] == performance.motion.names
        places = np.stack([100 * reader.matrix(j, moved)[:3, 3] for j in joints])
        farthest = max(farthest, 10 * np.linalg.norm(places - world[frame], axis=1).max())
    assert 0 <= farthest < JOINTS_MM


def test_heads_are_neutral_plus_weights_times_shapes(written):
    scene, path = written
    seen = 0
    for reader, number, character, moved, frame, performance, world, turned in figures(scene, path):
        rig = character.faced(scene.people)
        if rig is None:
            continue
        head = performance.motion.aliases()["Head"]
        joint = reader.file.nodes[reader.file.skins[number].joints[head]]
        (node,) = [child for child in joint.children if reader.file.nodes[child].mesh is not None]
        mesh = reader.file.meshes[reader.file.nodes[node].mesh]
        assert mesh.extras["targetNames"] == list(NAMES)
        expected = head_vertices(performance.motion, rig, performance.face, world, turned, frame)
        far = np.linalg.norm(reader.placed(node, moved) - expected, axis=1)
        assert 10 * far.max() < HEAD_MM
        seen += 1
    assert bool(seen) == any(person.rig for person in scene.people)


def test_bodies_are_the_skinned_mannequin(written):
    scene, path = written
    skins: dict[int, mannequin.Skin] = {}
    for reader, number, character, moved, frame, performance, world, turned in figures(scene, path):
        motion, rig = performance.motion, character.faced(scene.people)
        if number not in skins:
            skins[number] = mannequin.mannequin(motion, head=rig is None or mannequin.is_mask(rig))
        (node,) = [n for n, found in enumerate(reader.file.nodes) if found.skin == number]
        expected = mannequin.skinned(
            skins[number], mannequin.rest_places(motion), world[frame], turned[frame]
        )
        far = np.linalg.norm(reader.placed(node, moved) - expected, axis=1)
        assert 10 * far.max() < BODY_MM


def test_between_two_frames_the_way_is_short(written):
    """Rotations must not jump to the other sign: a viewer shows what lies between two frames."""
    scene, path = written
    reader = Reader(path)
    for animation in reader.file.animations:
        for channel in animation.channels:
            if channel.target.path == "rotation":
                turns = reader.values(animation.samplers[channel.sampler].output).astype(float)
                np.testing.assert_allclose(np.linalg.norm(turns, axis=1), 1, atol=1e-5)
                assert ((turns[1:] * turns[:-1]).sum(1) > 0).all()


# sizes --------------------------------------------------------------------------------------------------


def voice(path):
    """A minute that is as hard to pack as any voice that speaks half the time, and never quite silent."""
    rng, rate = np.random.default_rng(0), 48_000
    speaks = np.repeat(np.arange(60) % 2 == 0, rate)
    samples = rng.normal(0, 1, 60 * rate) * np.where(speaks, 0.05, 2e-4)
    soundfile.write(path, samples, rate, subtype="PCM_24")
    return path


@pytest.mark.parametrize(("heads", "most"), [("simulated", 20), ("ict", 40)])
def test_a_minute_of_two_people_is_small_enough(tmp_path, request, heads, most):
    rigs = None
    if heads == "ict":
        rigs = (ict_rig(request.getfixturevalue("real_data")),) * 2
    scene = talking_scene(round(60 * FPS), rigs=rigs, variants=("captured",))
    write_glb(scene, tmp_path / "take.glb")
    export.to_flac(voice(tmp_path / "voice.wav"), tmp_path / "voice.flac")
    sizes = [path.stat().st_size for path in (tmp_path / "take.glb", *[tmp_path / "voice.flac"] * 2)]
    assert sum(sizes) < most * MEGABYTE, f"GLB and voices: {[size / MEGABYTE for size in sizes]} MB"
    few = tmp_path / "few.glb"
    write_glb(cut(scene, 30), few)
    assert few.stat().st_size < (tmp_path / "take.glb").stat().st_size
