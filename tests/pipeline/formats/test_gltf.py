import base64
import json
import os

import numpy as np
import pytest
from helpers.rig_files import TRIANGLES, Gltf, head

from pipeline.errors import InputError
from pipeline.formats.gltf import Morphs, read_gltf
from pipeline.rigs.importing import import_rig

NEUTRAL, DELTAS = head()
NEUTRAL, DELTAS, NAMES = NEUTRAL / 100, DELTAS[:2] / 100, ["jawOpen", "smirk"]


def small(**node) -> Gltf:
    gltf = Gltf()
    gltf.mesh([gltf.primitive(NEUTRAL, DELTAS)], NAMES, **node)
    return gltf


def only(gltf: Gltf, tmp_path) -> Morphs:
    (morphs,) = read_gltf(gltf.save(tmp_path / "x.glb"))
    return morphs


def is_head(morphs: Morphs, *, atol=1e-7) -> bool:
    same = np.allclose(morphs.vertices, NEUTRAL, rtol=0, atol=atol) and np.allclose(
        morphs.deltas, DELTAS, rtol=0, atol=atol
    )
    return same and morphs.names == NAMES and np.array_equal(morphs.triangles, TRIANGLES)


def test_a_glb_is_read(tmp_path):
    morphs = only(small(), tmp_path)
    assert is_head(morphs) and (morphs.mesh, morphs.node) == ("Head", "Head node")


@pytest.mark.parametrize("where", ["beside", "inside"])
def test_buffers_beside_and_inside_a_gltf_are_read(tmp_path, where):
    gltf = small()
    (tmp_path / "my buffer.bin").write_bytes(gltf.binary)
    uri = (
        "my%20buffer.bin"
        if where == "beside"
        else "data:application/octet-stream;base64," + base64.b64encode(gltf.binary).decode()
    )
    gltf.json["buffers"] = [{"byteLength": len(gltf.binary), "uri": uri}]
    (morphs,) = read_gltf(gltf.save(tmp_path / "x.gltf"))
    assert is_head(morphs)


@pytest.mark.parametrize("base", [True, False])
@pytest.mark.parametrize("kind", ["<u1", "<u2", "<u4"])
def test_sparse_targets_are_read(tmp_path, base, kind):
    gltf = small()
    rows = np.array([3, 60])
    accessor = gltf.json["accessors"][gltf.json["meshes"][0]["primitives"][0]["targets"][1]["POSITION"]]
    number = {"<u1": 5121, "<u2": 5123, "<u4": 5125}[kind]
    accessor["sparse"] = {
        "count": 2,
        "indices": {"bufferView": gltf.view(rows.astype(kind)), "componentType": number},
        "values": {"bufferView": gltf.view(np.ones((2, 3), "<f4"))},
    }
    if not base:
        del accessor["bufferView"]
    need = DELTAS[1].copy() if base else np.zeros_like(DELTAS[1])
    need[rows] = 1
    morphs = only(gltf, tmp_path)
    assert np.allclose(morphs.deltas, [DELTAS[0], need], atol=1e-7)


@pytest.mark.parametrize(("kind", "largest"), [("<i2", 32767), ("<i1", 127), ("<u2", 65535)])
def test_normalised_integers_are_numbers_up_to_1(tmp_path, kind, largest):
    gltf = Gltf()
    positions = np.abs(NEUTRAL) if kind == "<u2" else NEUTRAL
    whole = np.zeros((64, 4), kind)  # rows of four, of which three count: quantised rows are padded
    whole[:, :3] = np.round(positions * largest)
    primitive = gltf.primitive(NEUTRAL, DELTAS)
    primitive["attributes"]["POSITION"] = gltf.accessor(whole, type="VEC3", normalized=True)
    gltf.json["bufferViews"][-1]["byteStride"] = whole.strides[0]
    gltf.mesh([primitive], NAMES)
    assert np.abs(only(gltf, tmp_path).vertices - positions).max() <= 0.51 / largest


def test_integers_that_are_not_normalised_stay(tmp_path):
    gltf = small(scale=[0.01, 0.01, 0.01])
    whole = np.zeros((64, 4), "<i2")
    whole[:, :3] = np.round(NEUTRAL * 1000)
    gltf.json["meshes"][0]["primitives"][0]["attributes"]["POSITION"] = gltf.accessor(whole, type="VEC3")
    gltf.json["bufferViews"][-1]["byteStride"] = 8
    assert np.array_equal(only(gltf, tmp_path).vertices, whole[:, :3] * 0.01)


def test_nodes_place_the_mesh(tmp_path):
    gltf = small(translation=[1, 2, 3], scale=[2, 2, 2])
    quarter = [0, 0, np.sqrt(0.5), np.sqrt(0.5)]  # x goes to y
    gltf.json["nodes"].append({"rotation": quarter, "children": [0]})
    gltf.json["nodes"].append({"matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 10, 0, 0, 1], "children": [1]})
    gltf.json |= {"scenes": [{"nodes": []}, {"nodes": [2]}], "scene": 1}
    morphs = only(gltf, tmp_path)
    turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    assert np.allclose(morphs.vertices, (2 * NEUTRAL + [1, 2, 3]) @ turn + [10, 0, 0]) and np.allclose(
        morphs.deltas, 2 * DELTAS @ turn
    )
    gltf.json["scene"] = 0
    assert read_gltf(gltf.save(tmp_path / "x.glb")) == []


def test_a_mirrored_mesh_still_faces_outwards(tmp_path):
    morphs = only(small(scale=[-1, 1, 1]), tmp_path)
    assert np.allclose(morphs.vertices, NEUTRAL * [-1, 1, 1]) and np.array_equal(
        morphs.triangles, TRIANGLES[:, ::-1]
    )


def test_a_skinned_mesh_stands_where_its_joints_are(tmp_path):
    gltf = small(translation=[7, 7, 7], skin=0)  # the place of a skinned node does not count
    which, share = np.zeros((64, 4), "<u1"), np.zeros((64, 4), "<f4")
    which[:, 1], share[:, 0], share[:, 1] = 1, 0.75, 0.25
    gltf.json["meshes"][0]["primitives"][0]["attributes"] |= {
        "JOINTS_0": gltf.accessor(which),
        "WEIGHTS_0": gltf.accessor(share),
    }
    gltf.json["nodes"] += [{"translation": [0, 4, 0]}, {"translation": [0, 4, 0], "scale": [3, 3, 3]}]
    inverse = np.tile(np.eye(4), (2, 1, 1))
    inverse[:, 1, 3] = -4
    gltf.json["skins"] = [
        {
            "joints": [1, 2],
            "inverseBindMatrices": gltf.accessor(inverse.transpose(0, 2, 1).reshape(2, 16).astype("<f4")),
        }
    ]
    morphs = only(gltf, tmp_path)
    grown = (NEUTRAL - [0, 4, 0]) * 3 + [0, 4, 0]
    assert np.allclose(morphs.vertices, 0.75 * NEUTRAL + 0.25 * grown, atol=1e-6) and np.allclose(
        morphs.deltas, 1.5 * DELTAS, atol=1e-6
    )


def test_primitives_are_joined_and_shared_vertices_stay_one(tmp_path):
    gltf = Gltf()
    first = gltf.primitive(NEUTRAL, DELTAS, TRIANGLES[:50])
    second = first | {"indices": gltf.accessor(TRIANGLES[50:].reshape(-1).astype("<u4"))}
    gltf.mesh([first, second], NAMES)
    assert is_head(only(gltf, tmp_path))
    apart = gltf.primitive(NEUTRAL + 1, 2 * DELTAS)
    del apart["indices"]
    apart["attributes"]["POSITION"] = gltf.accessor((NEUTRAL[:63] + 1).astype("<f4"))
    apart["targets"] = [{"POSITION": gltf.accessor((2 * delta[:63]).astype("<f4"))} for delta in DELTAS]
    gltf.json["meshes"][0]["primitives"].append(apart)
    morphs = only(gltf, tmp_path)
    assert morphs.vertices.shape == (127, 3) and np.allclose(
        morphs.deltas[:, 64:], 2 * DELTAS[:, :63], atol=1e-7
    )
    assert np.array_equal(morphs.triangles[-21:], np.arange(64, 127).reshape(21, 3))


def test_names_come_from_the_primitive_or_the_accessors(tmp_path):
    gltf = small()
    del gltf.json["meshes"][0]["extras"]
    primitive = gltf.json["meshes"][0]["primitives"][0]
    for name, target in zip(["a", "b"], primitive["targets"]):
        gltf.json["accessors"][target["POSITION"]]["name"] = name
    assert only(gltf, tmp_path).names == ["a", "b"]
    primitive["extras"] = {"targetNames": NAMES}
    assert only(gltf, tmp_path).names == NAMES


def test_a_target_without_positions_moves_nothing(tmp_path):
    gltf = small()
    gltf.json["meshes"][0]["primitives"][0]["targets"][0] = {"NORMAL": 0}
    morphs = only(gltf, tmp_path)
    assert not morphs.deltas[0].any() and np.allclose(morphs.deltas[1], DELTAS[1])


def first_primitive(gltf):
    return gltf.json["meshes"][0]["primitives"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.json["asset"].update(version="1.0"), "glTF version 1.0, need 2"),
        (lambda g: g.json.pop("asset"), "not a readable glTF 2.0 file"),
        (lambda g: g.json.pop("accessors"), "not a readable glTF 2.0 file"),
        (lambda g: g.json["nodes"][0].update(mesh=7), "not a readable glTF 2.0 file"),
        (
            lambda g: (g.json["nodes"][0].update(children=[0]), g.json.update(scenes=[{"nodes": [0]}])),
            "not a readable glTF 2.0 file",
        ),
        (lambda g: g.json["accessors"][0].update(componentType=5130), "not a readable glTF 2.0 file"),
        (lambda g: g.json["accessors"][0].update(type="VEC2"), "accessor 0 holds VEC2, need 3"),
        (
            lambda g: g.json.update(extensionsRequired=["KHR_draco_mesh_compression"]),
            "compressed (KHR_draco_mesh_compression)",
        ),
        (
            lambda g: first_primitive(g).update(extensions={"KHR_draco_mesh_compression": {}}),
            "without compression",
        ),
        (
            lambda g: g.json["bufferViews"][0].update(extensions={"EXT_meshopt_compression": {}}),
            "compressed (EXT_meshopt_compression)",
        ),
        (lambda g: first_primitive(g).update(mode=5), "mesh 'Head' is drawn in mode 5, need triangles (4)"),
        (lambda g: g.json["meshes"][0]["extras"]["targetNames"].pop(), "1 targetNames, need 2"),
        (
            lambda g: g.json["meshes"][0]["extras"].update(targetNames=["a", "a"]),
            "two morph targets are called 'a'",
        ),
        (lambda g: g.json["meshes"][0].pop("extras"), "morph target 0 has no name"),
        (lambda g: g.json["accessors"][0].update(count=65), "cut off, bufferView 0 needs bytes up to 780"),
        (lambda g: g.json["bufferViews"][-1].update(byteOffset=10**6), "cut off, bufferView"),
        (
            lambda g: first_primitive(g).update(indices=g.accessor(np.array([0, 1], "<u2"))),
            "2 indices up to 1, need a multiple of 3",
        ),
        (
            lambda g: first_primitive(g).update(indices=g.accessor(np.array([0, 1, 64], "<u2"))),
            "3 indices up to 64, need a multiple of 3 of them, below 64",
        ),
        (
            lambda g: first_primitive(g)["attributes"].update(
                POSITION=g.accessor(np.full((64, 3), np.nan, "<f4"))
            ),
            "NaN or infinite numbers in accessor",
        ),
        (lambda g: g.json["nodes"][0].update(translation=[0, np.nan, 0]), "NaN is no number in JSON"),
        (lambda g: g.json["nodes"][0].update(translation=[0, 10**400, 0]), "is larger than numbers go"),
        (lambda g: g.json["nodes"][0].update(matrix=[1e999] * 16), "Infinity is no number in JSON"),
        (lambda g: g.json["meshes"][0]["extras"].update(targetNames="ab"), "targetNames are no list"),
        (
            lambda g: first_primitive(g).update(targets=[{}] * 20_000),
            "mesh 'Head': 20,000 morph targets, need at most 4,000",
        ),
        (lambda g: g.json["nodes"].extend([{}] * 100_000), "100,001 nodes, need at most 100,000"),
        (lambda g: g.json["accessors"][0].update(count=10**12), "has 1000000000000 elements, need 0 to"),
        (lambda g: g.json["accessors"][0].update(count=-1), "has -1 elements, need 0 to"),
        (
            lambda g: (
                g.json["accessors"][0].update(count=20_000_000),
                g.json["accessors"][0].pop("bufferView"),
            ),
            "20,000,000 elements without values",
        ),
        (lambda g: g.json["bufferViews"][0].update(byteStride=-12), "bufferView 0 lies before its buffer"),
        (lambda g: g.json["nodes"][0].update(skin=0), "not a readable glTF 2.0 file"),
    ],
)
def test_bad_gltf_files_are_named(tmp_path, change, message):
    gltf = small()
    change(gltf)
    with pytest.raises(InputError) as error:
        read_gltf(gltf.save(tmp_path / "x.glb"))
    assert message in str(error.value) and "x.glb" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "0 bytes that do not begin with glTF"),
        (lambda data: b"{}" * 20, "do not begin with glTF"),
        (lambda data: data[:4] + b"\1" + data[5:], "glTF version 1, need 2"),
        (lambda data: data[:-100], "cut off"),
        (
            lambda data: data[:8] + (len(data) - 100).to_bytes(4, "little") + data[12:-100],
            "cut off, a chunk of",
        ),
        (lambda data: data[:8] + (12).to_bytes(4, "little") + data[12:], "no JSON chunk"),
        (lambda data: data[:20] + b"!" + data[21:], "not a readable JSON"),
    ],
)
def test_bad_glb_bytes_are_named(tmp_path, change, message):
    path = small().save(tmp_path / "x.glb")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError) as error:
        read_gltf(path)
    assert message in str(error.value) and "x.glb" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        ({"uri": "there.bin"}, "there.bin: no such file; check the path); copy it along"),
        ({"uri": "short.bin"}, "buffer 0 has 3 bytes of"),
        ({"uri": "data:application/octet-stream;base64,AA="}, "buffer 0 is not base64"),
        ({"uri": "data:text/plain,AA"}, "need base64"),
        ({}, "no data for buffer 0"),
    ],
)
def test_bad_buffers_are_named(tmp_path, buffer, message):
    gltf = small()
    (tmp_path / "short.bin").write_bytes(b"abc")
    gltf.json["buffers"] = [{"byteLength": len(gltf.binary)} | buffer]
    with pytest.raises(InputError) as error:
        read_gltf(gltf.save(tmp_path / "x.gltf"))
    assert message in str(error.value) and "x.gltf" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        "../secret.bin",
        "%2e%2e/secret.bin",
        "sub/../../secret.bin",
        "{}/secret.bin",
        "file://{}/secret.bin",
        "http://localhost:1/secret.bin",
        "link.bin",
    ],
)
def test_buffers_elsewhere_are_not_read(tmp_path, uri):
    gltf = small()
    (tmp_path / "secret.bin").write_bytes(gltf.binary)
    (tmp_path / "x" / "sub").mkdir(parents=True)
    (tmp_path / "x" / "link.bin").symlink_to(tmp_path / "secret.bin")
    gltf.json["buffers"] = [{"byteLength": len(gltf.binary), "uri": uri.format(tmp_path)}]
    with pytest.raises(
        InputError, match="x.gltf: its buffer .*(lies elsewhere, need a file beside it|leads to .*outside)"
    ):
        read_gltf(gltf.save(tmp_path / "x" / "x.gltf"))


def test_a_pipe_in_place_of_a_file_is_named(tmp_path):
    gltf = small()
    gltf.json["buffers"] = [{"byteLength": len(gltf.binary), "uri": "pipe.bin"}]
    for name in ("pipe.bin", "pipe.glb", "pipe.gltf"):
        os.mkfifo(tmp_path / name)
    for path in (gltf.save(tmp_path / "x.gltf"), tmp_path / "pipe.glb", tmp_path / "pipe.gltf"):
        with pytest.raises(InputError, match="is a pipe or device"):
            read_gltf(path)


@pytest.mark.parametrize("times", [2, 3])
def test_names_that_stand_once_for_each_primitive(tmp_path, times):
    gltf = Gltf()
    half = [gltf.primitive(NEUTRAL, DELTAS), gltf.primitive(NEUTRAL, DELTAS)]
    gltf.mesh(half, NAMES * times)
    assert only(gltf, tmp_path).names == NAMES
    gltf = Gltf()
    gltf.mesh([gltf.primitive(NEUTRAL, DELTAS)], [*NAMES, *NAMES[::-1]])
    with pytest.raises(InputError, match="4 targetNames, need 2"):
        only(gltf, tmp_path)


def test_the_fields_head_has_its_shapes(field):
    rig = import_rig(field / "gltf-names-repeated" / "head.gltf")
    assert len(rig.deltas) == 51 and (np.abs(rig.deltas).max((1, 2)) > 0).all()


def test_many_nodes_of_one_mesh_do_not_multiply_it(tmp_path):
    gltf = small()
    gltf.json["nodes"] += [{"mesh": 0}] * 1_000
    with pytest.raises(InputError, match="more than 100,000 numbers"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.formats.gltf.MOST_NUMBERS", 100_000)
            read_gltf(gltf.save(tmp_path / "x.glb"))


def test_unreadable_gltf_files_are_named(tmp_path):
    with pytest.raises(InputError, match="x.glb: no such file"):
        read_gltf(tmp_path / "x.glb")
    with pytest.raises(InputError, match="x.gltf: no such file"):
        read_gltf(tmp_path / "x.gltf")
    (tmp_path / "y.gltf").write_text(json.dumps([]))
    with pytest.raises(InputError, match="y.gltf: got a list, need an object"):
        read_gltf(tmp_path / "y.gltf")
