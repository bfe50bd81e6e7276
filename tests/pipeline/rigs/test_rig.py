import sys
from types import ModuleType

import matplotlib.image
import numpy as np
import pytest
from helpers.commands import refused
from helpers.rig_files import QUADS, TRIANGLES, head, head_gltf, ict_folder

from pipeline.figures import strips
from pipeline.formats import arkit
from pipeline.formats.obj import write_obj
from pipeline.formats.rig_file import REGIONS, Rig, load_rig, regions, save_rig
from pipeline.rigs import __main__ as tool
from pipeline.rigs import rig

NEUTRAL, DELTAS = (array.astype(np.float32) for array in head())
BIGGER = NEUTRAL * np.float32([1.1, 1.2, 1.0])


@pytest.fixture
def generic(tmp_path):
    """A rig on disk whose lips are told."""
    save_rig(tmp_path / "generic.npz", Rig(NEUTRAL, DELTAS, QUADS, {"lips": np.array([3, 5])}))
    return tmp_path / "generic.npz"


def run(*arguments) -> None:
    tool.main([str(argument) for argument in arguments])


def test_an_imported_rig_has_regions_and_repeats_its_bytes(tmp_path):
    source, out = ict_folder(tmp_path / "ict"), tmp_path / "out" / "001.npz"
    run("import", source, "--out", out)
    first = out.read_bytes()
    found = load_rig(out)
    assert np.allclose(found.deltas, DELTAS, atol=2e-6) and set(found.stored_regions) == set(REGIONS)
    run("import", source, "--out", out, "--unit", "cm", "--neutral", "generic_neutral_mesh.obj")
    assert out.read_bytes() == first
    run("import", head_gltf().save(tmp_path / "x.glb"), "--out", out, "--mesh", "Head")
    assert np.allclose(load_rig(out).deltas, DELTAS, atol=1e-5)


def test_a_rig_with_missing_shapes_needs_a_word(tmp_path, capsys):
    source, out = ict_folder(tmp_path / "ict"), tmp_path / "001.npz"
    (source / "jawOpen.obj").unlink()
    refused(tool.main, ["import", source, "--out", out], capsys, "missing: jawOpen", outputs=[out])
    run("import", source, "--out", out, "--missing", "zero")
    assert not load_rig(out).deltas[arkit.NAMES.index("jawOpen")].any()


def test_a_rig_is_listed(generic, capsys):
    run("list", generic)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "64 vertices, 49 faces of up to 4 corners, 24.0 cm high" and len(lines) == 2 + len(
        arkit.NAMES
    ) + len(REGIONS)
    travel = np.linalg.norm(DELTAS[arkit.NAMES.index("browDownLeft")], axis=-1)
    assert f"{'browDownLeft':20} {32:14d} {travel.max():11.3f} cm" in lines
    assert f"{'region lips':20} {2:14d} {'in the file':>14}" in lines


def test_check_ends_with_1_and_names_files_and_faults(generic, tmp_path, capsys):
    run("check", generic, generic)
    assert capsys.readouterr().out == "2 rigs, no fault\n"
    save_rig(tmp_path / "bad.npz", Rig(NEUTRAL / 100, DELTAS, QUADS + 1))
    (tmp_path / "worse.npz").write_bytes(b"")
    with pytest.raises(SystemExit) as stop:
        run("check", tmp_path / "bad.npz", generic, tmp_path / "worse.npz")
    lines = capsys.readouterr().out.splitlines()
    assert stop.value.code == 1 and len(lines) == 3
    assert (
        lines[0].endswith("bad.npz: faces name vertices 1 to 64, need 0 to 63; write it again")
        and "bad.npz: the neutral is 0.24 cm" in lines[1]
    )
    assert "worse.npz: not a readable .npz" in lines[2]


def test_the_picture_has_every_region_and_shape(generic, tmp_path, monkeypatch, capsys):
    drawn = []
    real = strips.draw_face
    monkeypatch.setattr(
        rig,
        "draw_face",
        lambda ax, shown, weights, colours: (
            drawn.append((weights, colours)) or real(ax, shown, weights, colours)
        ),
    )
    out = tmp_path / "rig.png"
    run("draw", generic, "--out", out)
    first = out.read_bytes()
    assert min(matplotlib.image.imread(out).shape[:2]) > 1000 and len(drawn) == 1 + len(REGIONS) + len(
        arkit.NAMES
    )
    assert not any(weights.any() for weights, _ in drawn[:5]) and all(
        weights[i] == 1 for i, (weights, _) in enumerate(drawn[5:])
    )
    assert np.flatnonzero((drawn[1][1] == rig.REGION).all(1)).tolist() == [3, 5], "lips on the neutral"
    together = np.flatnonzero(drawn[5 + arkit.NAMES.index("mouthClose")][0])
    assert [arkit.NAMES[i] for i in together] == ["jawOpen", "mouthClose"]
    run("draw", generic, "--out", out)
    assert out.read_bytes() == first
    save_rig(tmp_path / "bad.npz", Rig(NEUTRAL, DELTAS, QUADS + 1))
    refused(
        tool.main,
        ["draw", tmp_path / "bad.npz", "--out", tmp_path / "b.png"],
        capsys,
        "faces name vertices 1 to 64",
        outputs=[tmp_path / "b.png"],
    )


@pytest.mark.parametrize("scale", [1, 0.01])
@pytest.mark.parametrize("form", ["obj", "npz"])
def test_copied_shapes_stay_what_they_are(generic, tmp_path, form, scale):
    if form == "obj":
        write_obj(tmp_path / "actor.obj", BIGGER * scale, TRIANGLES)
    else:
        np.savez(
            tmp_path / "actor.npz",
            neutral=BIGGER * scale,
            names=np.array([], str),
            deltas=np.zeros((0, 64, 3)),
            faces=QUADS,
        )
    run(
        "transfer",
        generic,
        "--neutral",
        tmp_path / f"actor.{form}",
        "--out",
        tmp_path / "001.npz",
        "--method",
        "copy",
    )
    found = load_rig(tmp_path / "001.npz")
    assert (
        np.allclose(found.neutral, BIGGER, atol=1e-4)
        and np.array_equal(found.deltas, DELTAS)
        and np.array_equal(found.faces, QUADS)
    )
    assert all(
        np.array_equal(found.stored_regions[name], vertices)
        for name, vertices in regions(load_rig(generic)).items()
    )


def test_transferred_shapes_come_from_deformation_transfer(generic, tmp_path, monkeypatch):
    module, asked = ModuleType("pipeline.rigs.deformation_transfer"), []
    module.transfer_deltas = lambda *arrays: asked.append(arrays) or arrays[2] * 3
    monkeypatch.setitem(sys.modules, "pipeline.rigs.deformation_transfer", module)
    write_obj(tmp_path / "actor.obj", BIGGER, QUADS)
    run(
        "transfer",
        generic,
        "--neutral",
        tmp_path / "actor.obj",
        "--out",
        tmp_path / "001.npz",
        "--method",
        "transfer",
    )
    ((neutral, faces, deltas, target),) = asked
    assert (
        np.array_equal(neutral, NEUTRAL)
        and np.array_equal(faces, QUADS)
        and np.array_equal(deltas, DELTAS)
        and np.allclose(target, BIGGER, atol=1e-5)
    )
    assert np.array_equal(load_rig(tmp_path / "001.npz").deltas, DELTAS * 3)


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (BIGGER[:63], QUADS[:3], "63 vertices, the generic rig has 64"),
        (BIGGER, (QUADS * 5) % 64, "its faces are not those of the generic rig"),
        (BIGGER / 10, QUADS, "give the unit with --unit"),
    ],
)
def test_other_heads_are_refused(generic, tmp_path, capsys, vertices, faces, message):
    write_obj(tmp_path / "actor.obj", vertices, faces)
    out = tmp_path / "001.npz"
    refused(
        tool.main,
        ["transfer", generic, "--neutral", tmp_path / "actor.obj", "--out", out, "--method", "copy"],
        capsys,
        "actor.obj",
        message,
        outputs=[out],
    )


def test_neutrals_of_no_known_form_are_refused(generic, tmp_path, capsys):
    out = tmp_path / "001.npz"
    refused(
        tool.main,
        ["transfer", generic, "--neutral", tmp_path / "a.ply", "--out", out, "--method", "copy"],
        capsys,
        "got a .ply file",
        outputs=[out],
    )


def test_an_unknown_command_is_named(capsys):
    with pytest.raises(
        SystemExit, match="unknown command 'paint'; need import, list, check, draw or transfer"
    ):
        tool.main(["paint"])
    tool.main(["--help"])
    assert "python -m pipeline.rigs transfer" in capsys.readouterr().out
