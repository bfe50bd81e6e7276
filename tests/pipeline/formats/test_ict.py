import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats import arkit, ict


def test_the_table_has_every_shape_of_both_lists():
    assert len(ict.NAMES) == len(set(ict.NAMES)) == 55 and sorted(ict.NAMES, key=str.lower) == list(ict.NAMES)
    assert {name for name in ict.ARKIT_OF if name} == set(arkit.NAMES)
    assert [name for name, theirs in zip(ict.NAMES, ict.ARKIT_OF) if theirs is None] == [
        "cheekRaiser_L",
        "cheekRaiser_R",
    ]
    assert (
        ict.arkit_name("mouthLeft") == "mouthLeft"
        and ict.arkit_name("jawOpen") == "jawOpen"
        and ict.arkit_name("eyeWide_R") == "eyeWideRight"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_from_arkit_and_back_is_exact(dtype):
    weights = np.random.default_rng(0).uniform(-0.2, 1.3, (7, 2, 51)).astype(dtype)
    there = ict.to_ict(weights)
    assert there.shape == (7, 2, 55) and there.dtype == dtype
    assert np.array_equal(ict.to_arkit(there), weights) and np.array_equal(
        ict.to_ict(ict.to_arkit(there)), there
    )
    assert not ict.lost(there).any()


def test_what_arkit_cannot_say_is_told():
    weights = np.zeros(55)
    (
        weights[ict.NAMES.index("browInnerUp_L")],
        weights[ict.NAMES.index("cheekRaiser_R")],
        weights[ict.NAMES.index("jawOpen")],
    ) = (
        0.6,
        0.3,
        0.5,
    )
    found = dict(zip(arkit.NAMES, ict.to_arkit(weights)))
    assert found["browInnerUp"] == pytest.approx(0.3) and found["jawOpen"] == 0.5
    gone = {name: value for name, value in zip(ict.NAMES, ict.lost(weights)) if value}
    assert gone == pytest.approx({"browInnerUp_L": 0.3, "browInnerUp_R": -0.3, "cheekRaiser_R": 0.3})


def test_nan_stays_in_its_own_shape():
    weights = np.zeros((2, 51))
    weights[1, arkit.NAMES.index("browInnerUp")] = np.nan
    there = ict.to_ict(weights)
    assert [ict.NAMES[i] for i in np.flatnonzero(np.isnan(there[1]))] == [
        "browInnerUp_L",
        "browInnerUp_R",
    ] and np.isfinite(there[0]).all()
    assert np.isnan(ict.to_arkit(there)).sum() == 1


def test_other_widths_are_refused():
    with pytest.raises(InputError, match=r"ICT weights of shape \(4, 51\), need 55 columns"):
        ict.to_arkit(np.zeros((4, 51)))
    with pytest.raises(InputError, match="need 51 columns"):
        ict.to_ict(np.zeros((4, 52)))


def test_the_topology_is_read_off_the_rig(tmp_path):
    for count in (ict.NUM_VERTICES, 100):
        np.savez_compressed(tmp_path / f"{count}.npz", neutral=np.zeros((count, 3), np.float32))
    assert ict.is_ict_rig(tmp_path / f"{ict.NUM_VERTICES}.npz") and not ict.is_ict_rig(tmp_path / "100.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK but no archive")
    assert not ict.is_ict_rig(tmp_path / "bad.npz") and not ict.is_ict_rig(tmp_path / "none.npz")


def test_names_are_those_of_the_kit(real_data):
    names = np.load(real_data / "rig" / "ict_facekit_expressions.npz")["names"].tolist()
    assert [name for name in names if not name.startswith("PupilDilate")] == list(ict.NAMES)


def test_mesh_to_weights_to_mesh_on_the_real_head(real_data):
    """ARKit -> mesh -> ARKit through the ICT shapes: the joined shapes are the sum of their sides."""
    from pipeline.capture.blendshapes import fit_blendshapes

    kit = np.load(real_data / "rig" / "ict_facekit_expressions.npz")
    shapes = dict(zip(kit["names"].tolist(), kit["deltas"][:, ::13].astype(float)))
    neutral, deltas = kit["neutral"][::13].astype(float), np.stack([shapes[name] for name in ict.NAMES])
    weights = np.random.default_rng(0).uniform(0, 1, (5, 51))
    meshes = neutral + np.tensordot(ict.to_ict(weights), deltas, 1)
    found, residual = fit_blendshapes(meshes, neutral, deltas)
    assert (
        np.abs(ict.to_arkit(found) - weights).max() < 1e-9
        and np.abs(ict.lost(found)).max() < 1e-9
        and residual.max() < 1e-9
    )
    joined = np.stack(
        [
            sum(shapes[theirs] for theirs, ours in zip(ict.NAMES, ict.ARKIT_OF) if ours == name)
            for name in arkit.NAMES
        ]
    )
    assert np.abs(fit_blendshapes(meshes, neutral, joined)[0] - weights).max() < 1e-9
