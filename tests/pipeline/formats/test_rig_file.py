import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.rig_file import REGIONS, Rig, load_rig, regions, save_rig


def arrays(num_vertices=7) -> dict:
    rng = np.random.default_rng(0)
    return {
        "neutral": rng.normal(size=(num_vertices, 3)), "names": np.array([*arkit.NAMES_52[::-1]]),
        "deltas": rng.normal(size=(52, num_vertices, 3)), "faces": np.array([[0, 1, 2, 3]]),
    }  # fmt: skip


def test_shapes_come_in_arkit_order(tmp_path):
    given = arrays()
    np.savez(tmp_path / "x.npz", **given)
    rig = load_rig(tmp_path / "x.npz")
    assert rig.deltas.shape == (51, 7, 3) and rig.neutral.dtype == rig.deltas.dtype == np.float32
    assert np.array_equal(rig.deltas, given["deltas"][::-1][:51].astype(np.float32)) and np.array_equal(
        rig.faces, given["faces"]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neutral": None}, "no array neutral"),
        ({"names": np.array(arkit.NAMES_52[:50])}, "50 names"),
        ({"names": np.array(arkit.NAMES), "deltas": np.zeros((51, 6, 3))}, "deltas (51, 6, 3)"),
        (
            {"names": np.array([*arkit.NAMES[:50], "smirk"]), "deltas": np.zeros((51, 7, 3))},
            "1 of the 51 ARKit shapes are missing: noseSneerRight",
        ),
        ({"neutral": np.full((7, 3), np.nan)}, "NaN or infinite"),
        ({"neutral": np.zeros((7, 2)), "deltas": np.zeros((52, 7, 2))}, "neutral (7, 2)"),
        ({"names": np.array(["x", None], object)}, "not a readable .npz"),
        ({"region_lips": np.array([0, 7])}, "region_lips is no list of vertices 0 to 6"),
    ],
)
def test_bad_rigs_are_named(tmp_path, change, message):
    np.savez(
        tmp_path / "x.npz", **{key: value for key, value in (arrays() | change).items() if value is not None}
    )
    with pytest.raises(InputError) as error:
        load_rig(tmp_path / "x.npz")
    assert message in str(error.value) and "x.npz" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfegarbage" * 9, "half", "array"])
def test_unreadable_rigs_are_named(tmp_path, content):
    path = tmp_path / "x.npz"
    if content == "array":
        with open(path, "wb") as f:
            np.save(f, np.zeros(3))
    elif content == "half":
        np.savez(path, **arrays())
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="x.npz: not a readable .npz") as error:
        load_rig(path)
    assert "\n" not in str(error.value)


def test_missing_rig_is_named(tmp_path):
    with pytest.raises(InputError, match="every actor needs a rig"):
        load_rig(tmp_path / "x.npz")


def test_regions_are_what_the_shapes_move():
    deltas = np.zeros((51, 10, 3), np.float32)
    for i, name in enumerate(arkit.NAMES):
        if name.startswith(("mouthClose", "mouthFunnel", "mouthPucker")):
            deltas[i, [0, 1, 2], 1] = 1
        if name.startswith(("brow", "eyeBlink")):
            deltas[i, [5, 6], 1] = 1
        if name == "jawOpen":
            deltas[i, 9, 1] = 50
    found = regions(Rig(np.zeros((10, 3), np.float32), deltas, np.zeros((0, 4), int)))
    assert found["lips"].tolist() == [0, 1, 2] and found["upper_face"].tolist() == [5, 6]


def test_shapes_that_do_not_move_make_no_region():
    found = regions(
        Rig(np.zeros((10, 3), np.float32), np.zeros((51, 10, 3), np.float32), np.zeros((0, 4), int))
    )
    assert set(found) == set(REGIONS) and not any(vertices.size for vertices in found.values())


def test_regions_are_stored_with_the_rig(tmp_path):
    given = arrays()
    np.savez(tmp_path / "x.npz", **given, region_lips=np.array([2, 4]))
    rig = load_rig(tmp_path / "x.npz")
    assert regions(rig)["lips"].tolist() == [2, 4] and set(regions(rig)) == set(REGIONS)
    save_rig(tmp_path / "y.npz", rig)
    back = load_rig(tmp_path / "y.npz")
    assert set(back.stored_regions) == set(REGIONS)
    assert all(np.array_equal(vertices, regions(rig)[name]) for name, vertices in back.stored_regions.items())
    assert np.array_equal(back.deltas, rig.deltas) and np.array_equal(back.neutral, rig.neutral)
