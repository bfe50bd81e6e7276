import json
import logging
import sys

import numpy as np
import pytest
from helpers.rig_files import QUADS, TRIANGLES, Gltf, head, head_gltf, ict_folder, ict_shapes

from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.obj import write_obj
from pipeline.rigs.importing import import_rig, plain_faces, read_shapes, unit_cm

NEUTRAL, DELTAS = head()


def is_head(rig, *, atol=2e-6) -> bool:
    same = np.allclose(rig.neutral, NEUTRAL, rtol=0, atol=atol) and np.allclose(
        rig.deltas, DELTAS, rtol=0, atol=atol
    )
    return same and rig.neutral.dtype == rig.deltas.dtype == np.float32


def obj_folder(folder, *, neutral="neutral", scale=1.0, names=arkit.NAMES):
    folder.mkdir(exist_ok=True)
    for name, delta in zip(names, DELTAS):
        write_obj(folder / f"{name}.obj", (NEUTRAL + delta) * scale, QUADS)
    write_obj(folder / f"{neutral}.obj", NEUTRAL * scale, QUADS)
    return folder


def arrays(**change) -> dict:
    given = {"neutral": NEUTRAL, "names": np.array(arkit.NAMES), "deltas": DELTAS, "faces": QUADS} | change
    return {name: value for name, value in given.items() if value is not None}


def refused(source, *needles, **options):
    with pytest.raises(InputError) as error:
        import_rig(source, **options)
    assert all(needle in str(error.value) for needle in (*needles, source.name)) and "\n" not in str(
        error.value
    ), str(error.value)


def test_a_folder_of_ict_facekit_is_imported(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    rig = import_rig(ict_folder(tmp_path / "ict"))
    assert is_head(rig) and np.array_equal(rig.faces, QUADS)
    assert (
        "PupilDilate_R, cheekRaiser_L" in caplog.text
        and "identity" not in caplog.text
        and "taken to be cm" in caplog.text
    )


@pytest.mark.parametrize("neutral", ["neutral", "Basis", "rest", "default", "head_neutral"])
def test_the_neutral_of_a_folder_is_found_by_its_name(tmp_path, neutral):
    assert is_head(import_rig(obj_folder(tmp_path / "x", neutral=neutral)))


def test_the_neutral_of_a_folder_may_be_told(tmp_path, monkeypatch):
    folder = obj_folder(tmp_path / "x", neutral="bob")
    refused(folder, "neutral meshes: none, need one, named neutral.obj, basis.obj")
    assert is_head(import_rig(folder, neutral="bob.obj"))
    (folder / "bob.obj").rename(tmp_path / "elsewhere.obj")
    assert is_head(import_rig(folder, neutral=tmp_path / "elsewhere.obj"))
    refused(folder, "no file bob.obj there or here; correct --neutral", neutral="bob.obj")
    for name in ("rest", "neutral"):
        write_obj(folder / f"{name}.obj", NEUTRAL, QUADS)
    refused(folder, "neutral meshes: neutral.obj, rest.obj, need one")


@pytest.mark.parametrize(("unit", "scale"), [("cm", 1.0), ("m", 0.01), ("mm", 10.0)])
def test_the_unit_is_the_one_that_makes_a_head(tmp_path, caplog, unit, scale):
    caplog.set_level(logging.INFO)
    folder = obj_folder(tmp_path / "x", scale=scale)
    assert is_head(import_rig(folder), atol=1e-4) and f"taken to be {unit}" in caplog.text
    caplog.clear()
    assert (
        is_head(import_rig(folder, unit=unit), atol=1e-4)
        and "taken" not in caplog.text
        and "check the unit" not in caplog.text
    )


def test_a_unit_that_makes_no_head_is_asked_for(tmp_path, caplog):
    folder = obj_folder(tmp_path / "x", scale=0.1)
    refused(folder, "2.4 high, which is a head in none of cm, m, mm; give the unit with --unit")
    assert (
        np.allclose(import_rig(folder, unit="cm").neutral, NEUTRAL / 10, atol=1e-5)
        and "check the unit" in caplog.text
    )
    with pytest.raises(InputError, match="x: unit 'inch', need one of cm, m, mm"):
        unit_cm(NEUTRAL, "inch", "x")


def test_normals_may_be_numbered_otherwise_in_each_obj(tmp_path):
    folder = obj_folder(tmp_path / "x")
    path = folder / "jawOpen.obj"
    path.write_text(
        "\n".join(
            f"f {' '.join(f'{c}//7' for c in line.split()[1:])}" if line[0] == "f" else line
            for line in path.read_text().splitlines()
        )
    )
    assert is_head(import_rig(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: write_obj(folder / "jawOpen.obj", NEUTRAL[:63], QUADS[:3]),
            "jawOpen.obj: 63 vertices, neutral.obj has 64",
        ),
        (
            lambda folder: write_obj(folder / "jawOpen.obj", NEUTRAL, QUADS[::-1]),
            "jawOpen.obj: its faces are not those of neutral.obj",
        ),
        (lambda folder: (folder / "jawOpen.obj").write_text("v 1 2\n"), "jawOpen.obj, line 1"),
        (
            lambda folder: (folder / "jawOpen.obj").write_text(
                (folder / "neutral.obj").read_text().replace("v 8.000000", "v nan", 1)
            ),
            "jawOpen.obj: NaN",
        ),
        (
            lambda folder: (folder / "jawOpen.obj").unlink(),
            "1 of the 51 ARKit shapes are missing: jawOpen; add or rename them, or give --missing zero",
        ),
        (lambda folder: write_obj(folder / "JawOpen_.obj", NEUTRAL, QUADS), "are both jawOpen"),
        (lambda folder: [path.unlink() for path in folder.glob("*.obj")], "no .obj file, need one a shape"),
    ],
)
def test_bad_folders_of_obj_files_are_named(tmp_path, change, message):
    folder = obj_folder(tmp_path / "x")
    change(folder)
    with pytest.raises(InputError) as error:
        import_rig(folder)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_missing_shapes_may_be_zero(tmp_path, caplog):
    folder = obj_folder(tmp_path / "x")
    (folder / "jawOpen.obj").unlink()
    rig = import_rig(folder, missing="zero")
    jaw = arkit.NAMES.index("jawOpen")
    assert not rig.deltas[jaw].any() and np.allclose(
        np.delete(rig.deltas, jaw, 0), np.delete(DELTAS, jaw, 0), atol=2e-6
    )
    assert "missing: jawOpen; they will not move" in caplog.text


def test_a_glb_is_taken_as_metres(tmp_path):
    rig = import_rig(head_gltf().save(tmp_path / "x.glb"))
    assert is_head(rig, atol=1e-5) and np.array_equal(rig.faces, TRIANGLES)
    assert is_head(import_rig(tmp_path / "x.glb", unit="m"), atol=1e-5)


def test_a_glb_in_cm_is_imported_with_its_unit(tmp_path, caplog):
    gltf = Gltf()
    gltf.mesh([gltf.primitive(NEUTRAL, DELTAS)], arkit.NAMES)
    path = gltf.save(tmp_path / "x.glb")
    assert is_head(import_rig(path, unit="cm"), atol=1e-5) and not caplog.text
    import_rig(path)
    assert "24 m high, no head is; check the unit" in caplog.text


def test_meshes_of_a_glb_are_joined_or_chosen(tmp_path):
    gltf = head_gltf()
    jaw = arkit.NAMES.index("jawOpen")
    teeth = gltf.primitive(NEUTRAL[:4] / 100, np.ones((2, 4, 3)), np.array([[0, 1, 2]]))
    gltf.mesh([teeth], ["teeth.jaw_open", "viseme_aa"], name="Teeth", translation=[0, 0, 1])
    gltf.mesh([gltf.primitive(NEUTRAL / 100, DELTAS[:0])], [], name="Hat")
    path = gltf.save(tmp_path / "x.glb")
    rig = import_rig(path)
    assert rig.deltas.shape == (51, 68, 3) and np.allclose(rig.deltas[:, :64], DELTAS, atol=1e-5)
    assert np.allclose(rig.deltas[jaw, 64:], 100) and not np.delete(rig.deltas, jaw, 0)[:, 64:].any()
    assert np.allclose(rig.neutral[64:], NEUTRAL[:4] + [0, 0, 100], atol=1e-4) and rig.faces[-1].tolist() == [
        64,
        65,
        66,
    ]
    for choice in ("Head", "Head node"):
        assert is_head(import_rig(path, mesh=choice), atol=1e-5)
    refused(
        path,
        "no mesh 'Hat' with morph targets, need one of Head node, Teeth node; correct --mesh",
        mesh="Hat",
    )


def test_two_equal_shapes_in_one_mesh_are_refused(tmp_path):
    gltf = Gltf()
    gltf.mesh([gltf.primitive(NEUTRAL / 100, DELTAS[[*range(51), 0]])], [*arkit.NAMES, "eyeBlink_L"])
    refused(gltf.save(tmp_path / "x.glb"), "'eyeBlinkLeft' and 'eyeBlink_L' are both eyeBlinkLeft")


def test_a_gltf_without_shapes_is_refused(tmp_path):
    gltf = Gltf()
    gltf.mesh([gltf.primitive(NEUTRAL, DELTAS[:0])], [])
    refused(gltf.save(tmp_path / "x.glb"), "no mesh with morph targets")


def test_arrays_are_imported_under_any_spelling(tmp_path):
    shapes = ict_shapes()
    np.savez(
        tmp_path / "x.npz", **arrays(names=np.array(list(shapes)), deltas=np.stack(list(shapes.values())))
    )
    rig = import_rig(tmp_path / "x.npz")
    assert is_head(rig) and np.array_equal(rig.faces, QUADS)


def test_triangles_among_quads_make_triangles(tmp_path):
    mixed = np.concatenate([QUADS, [[0, 1, 9, -1]]])
    np.savez(tmp_path / "x.npz", **arrays(faces=mixed))
    faces = import_rig(tmp_path / "x.npz").faces
    assert faces.shape == (2 * len(QUADS) + 1, 3) and faces[-1].tolist() == [0, 1, 9] and faces.min() == 0
    assert set(map(tuple, faces[:-1].tolist())) == set(map(tuple, TRIANGLES.tolist()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": None}, "no array faces, need neutral, names, deltas, faces"),
        ({"deltas": DELTAS[:50]}, "deltas (50, 64, 3)"),
        ({"names": np.arange(51)}, "names int64 (51,); need"),
        ({"neutral": np.full((64, 3), np.inf)}, "NaN or infinite"),
        ({"deltas": DELTAS.astype(complex)}, "values of type complex128, need numbers"),
        ({"faces": np.array([[0, 1, 64]])}, "faces name vertices 0 to 64, need 0 to 63"),
        ({"faces": np.array([[0, -1, 2, 3]])}, "faces name vertices -1 to 3"),
        ({"faces": np.array([[0, -2, 2, -1]])}, "faces name vertices -2 to 2"),
        ({"faces": np.array([[0.0, 1, 2]])}, "faces float64 (1, 3), need integers"),
        ({"faces": np.array([0, 1, 2])}, "faces int64 (3,), need integers (F,3) or (F,4)"),
        ({"names": np.array(["x", None], object)}, "not a readable .npz"),
    ],
)
def test_bad_arrays_are_named(tmp_path, change, message):
    np.savez(tmp_path / "x.npz", **arrays(**change))
    refused(tmp_path / "x.npz", message)


def test_sources_of_no_known_form_are_named(tmp_path):
    (tmp_path / "x.fbx").touch()
    (tmp_path / "x.npz").write_bytes(b"no zip")
    refused(tmp_path / "x.fbx", "got a .fbx file, need a folder of .obj, a .glb or .gltf, or an .npz")
    refused(tmp_path / "x.npz", "not a readable .npz")
    refused(tmp_path / "nowhere", "no such file or folder")
    refused(tmp_path / "x.npz", "--neutral a.obj is for a folder of OBJ files", neutral="a.obj")
    refused(tmp_path, "--mesh Head is for .glb and .gltf", mesh="Head")


def test_faces_without_a_fourth_corner_of_minus_one_stay():
    assert np.array_equal(plain_faces(QUADS, NEUTRAL, "x"), QUADS) and np.array_equal(
        plain_faces(TRIANGLES, NEUTRAL, "x"), TRIANGLES
    )
    assert plain_faces(np.zeros((0, 4), int), NEUTRAL, "x").shape == (0, 4)


def test_shapes_are_read_as_they_are_found(tmp_path):
    gltf = head_gltf()
    gltf.json["buffers"] = [{"byteLength": len(gltf.binary), "uri": "x.bin"}]
    (tmp_path / "x.bin").write_bytes(gltf.binary)
    (tmp_path / "x.gltf").write_text(json.dumps(gltf.json))
    shapes = read_shapes(tmp_path / "x.gltf")
    assert (
        shapes.names == list(arkit.NAMES)
        and np.allclose(shapes.neutral * 100, NEUTRAL, atol=1e-5)
        and shapes.deltas.dtype == np.float64
    )


def test_the_real_ict_head_becomes_the_rig_of_the_real_shoot(real_data, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(real_data)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from make_shoot import arkit_rig

    neutral, _, names, deltas, faces = arkit_rig()
    need = deltas[arkit.rig_order(names, "make_shoot")]
    rig = import_rig(real_data / "rig" / "ict_facekit_expressions.npz")
    assert np.array_equal(rig.neutral, neutral.astype(np.float32)) and np.array_equal(
        rig.deltas, need.astype(np.float32)
    )
    assert len(rig.faces) == (2 * (faces[:, 3] >= 0) + (faces[:, 3] < 0)).sum()
    kit = np.load(real_data / "rig" / "ict_facekit_expressions.npz")
    write_obj(tmp_path / "generic_neutral_mesh.obj", kit["neutral"], kit["faces"])
    write_obj(tmp_path / "identity000.obj", kit["neutral"] + kit["identity_deltas"][0], kit["faces"])
    for name, delta in zip(kit["names"].tolist(), kit["deltas"]):
        write_obj(tmp_path / f"{name}.obj", kit["neutral"] + delta, kit["faces"])
    again = import_rig(tmp_path)
    assert (
        np.array_equal(again.faces, rig.faces)
        and np.abs(again.neutral - rig.neutral).max() < 1e-6
        and np.abs(again.deltas - rig.deltas).max() < 4e-6
    )
