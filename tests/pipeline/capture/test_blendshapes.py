import h5py
import numpy as np
import pytest
from helpers.commands import refused
from helpers.live_link import live_link_csv, ramp
from helpers.tiny_shoot import ACTORS, write_mesh

from pipeline.annotate import quality
from pipeline.capture import blendshapes, face_quality
from pipeline.capture.blendshapes import fit_blendshapes
from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.timecode import format_timecode
from pipeline.reading import read_json

NAME = "20260101_001_001"


def problem(num_shapes=51, num_vertices=120, num_frames=9, *, seed=0):
    rng = np.random.default_rng(seed)
    neutral, deltas = rng.normal(0, 5, (num_vertices, 3)), rng.normal(0, 0.5, (num_shapes, num_vertices, 3))
    weights = rng.uniform(0, 1, (num_frames, num_shapes))
    vertices = neutral + np.tensordot(weights, deltas, 1) + rng.normal(0, 0.1, (num_frames, num_vertices, 3))
    return vertices, neutral, deltas, weights


def least_squares(vertices, neutral, deltas):
    return np.linalg.lstsq(
        deltas.reshape(len(deltas), -1).T, (vertices - neutral).reshape(len(vertices), -1).T, rcond=1e-10
    )[0].T


@pytest.mark.parametrize(("num_shapes", "num_vertices"), [(1, 4), (10, 40), (51, 120), (51, 18)])
@pytest.mark.parametrize("num_frames", [1, 63, 65, 130])
def test_equals_least_squares_in_double_precision(num_shapes, num_vertices, num_frames):
    vertices, neutral, deltas, _ = problem(num_shapes, num_vertices, num_frames)
    weights, _ = fit_blendshapes(vertices, neutral, deltas)
    assert (
        weights.shape == (num_frames, num_shapes)
        and np.abs(weights - least_squares(vertices, neutral, deltas)).max() < 1e-8
    )


def test_exact_meshes_give_their_weights_and_no_residual():
    _, neutral, deltas, weights = problem()
    found, residual = fit_blendshapes(neutral + np.tensordot(weights, deltas, 1), neutral, deltas)
    assert np.abs(found - weights).max() < 1e-10 and residual.max() < 1e-10
    assert np.abs(fit_blendshapes(neutral[None], neutral, deltas)[0]).max() == 0


def test_weights_are_unbounded():
    _, neutral, deltas, weights = problem()
    found, _ = fit_blendshapes(neutral + np.tensordot(3 * weights - 2, deltas, 1), neutral, deltas)
    assert np.abs(found - (3 * weights - 2)).max() < 1e-9


def test_residual_is_the_root_mean_square_over_coordinates():
    vertices, neutral, deltas, _ = problem()
    weights, residual = fit_blendshapes(vertices, neutral, deltas)
    left = vertices - neutral - np.tensordot(weights, deltas, 1)
    assert np.allclose(residual, np.sqrt((left**2).mean((1, 2))), rtol=1e-10)
    _, scaled = fit_blendshapes(10 * vertices, 10 * neutral, 10 * deltas)
    assert np.allclose(scaled, 10 * residual), "in the unit given"


def test_dependent_shapes_give_the_minimum_norm():
    vertices, neutral, deltas, _ = problem()
    deltas[7] = deltas[3]  # a twin
    deltas[9] = deltas[4] - 2 * deltas[5]
    deltas[11] = 0
    weights, residual = fit_blendshapes(vertices, neutral, deltas)
    expected = least_squares(vertices, neutral, deltas)
    assert (
        np.abs(weights - expected).max() < 1e-8
        and np.allclose(weights[:, 7], weights[:, 3])
        and np.allclose(weights[:, 11], 0)
    )
    assert blendshapes.BlendshapeFit(neutral, deltas).rank == 48 and np.isfinite(residual).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["normal", "lsqr", "bounded"])
def test_a_bad_vertex_is_left_out_of_its_own_frame(bad, method):
    vertices, neutral, deltas, _ = problem(8, 30, 70)
    clean, clean_residual = fit_blendshapes(vertices, neutral, deltas, method=method)
    others = [0, 1, 2, *range(4, 30)]
    without, left = fit_blendshapes(
        vertices[[5, 69]][:, others], neutral[others], deltas[:, others], method=method
    )
    vertices[[5, 69], 3, 1] = bad
    with np.errstate(invalid="ignore"):
        weights, residual = fit_blendshapes(vertices, neutral, deltas, method=method)
    spoilt = np.isin(np.arange(70), [5, 69])
    assert np.abs(weights[spoilt] - without).max() < 1e-6 and np.allclose(residual[spoilt], left, rtol=1e-6)
    assert np.array_equal(weights[~spoilt], clean[~spoilt]) and np.array_equal(
        residual[~spoilt], clean_residual[~spoilt]
    )


def test_a_frame_whose_vertices_do_not_tell_the_weights_has_none():
    vertices, neutral, deltas, _ = problem(8, 30, 3)
    deltas[2, 6:] = 0  # told by the first six vertices alone
    vertices[0, :6] = np.nan
    vertices[1, 6:24] = np.nan  # more than half
    weights, residual = fit_blendshapes(vertices, neutral, deltas)
    assert np.isnan(weights[:2]).all() and np.isnan(residual[:2]).all() and np.isfinite(weights[2]).all()


def test_lsqr_agrees():
    vertices, neutral, deltas, _ = problem(num_frames=4)
    (normal, a), (lsqr, b) = (
        fit_blendshapes(vertices, neutral, deltas, method=method) for method in ("normal", "lsqr")
    )
    assert np.abs(normal - lsqr).max() < 1e-7 and np.allclose(a, b, rtol=1e-7)


def test_single_precision_input_is_solved_in_double():
    vertices, neutral, deltas, _ = (a.astype(np.float32) for a in problem())
    weights, _ = fit_blendshapes(vertices, neutral, deltas)
    assert (
        weights.dtype == np.float64
        and np.abs(weights - least_squares(*(a.astype(float) for a in (vertices, neutral, deltas)))).max()
        < 1e-8
    )


def test_no_frames():
    _, neutral, deltas, _ = problem()
    weights, residual = fit_blendshapes(np.empty((0, 120, 3)), neutral, deltas)
    assert weights.shape == (0, 51) and residual.shape == (0,)


def test_shapes_that_do_not_fit_are_named():
    vertices, neutral, deltas, _ = problem()
    with pytest.raises(InputError, match=r"\(119, 3\) vertices a frame, the rig \(120, 3\)"):
        fit_blendshapes(vertices[:, 1:], neutral, deltas)
    with pytest.raises(InputError, match="need normal, lsqr, bounded"):
        fit_blendshapes(vertices, neutral, deltas, method="qr")
    with pytest.raises(InputError, match="rig: neutral"):
        blendshapes.BlendshapeFit(neutral, deltas[:, 1:])


def test_real_rig(real_data):
    """The ICT head: full rank, and the tight iterative solver's solution to 1e-5."""
    rig = np.load(real_data / "rig" / "ict_facekit_expressions.npz")
    names = rig["names"].tolist()
    shapes = [i for i, name in enumerate(names) if not name.startswith(("PupilDilate", "cheekRaiser"))]
    neutral, deltas = rig["neutral"][::40], rig["deltas"][shapes][:, ::40]
    weights = np.random.default_rng(0).uniform(0, 1, (1, len(shapes)))
    vertices = (neutral + np.tensordot(weights, deltas, 1)).astype(np.float32)
    fit = blendshapes.BlendshapeFit(neutral, deltas)
    assert fit.rank == len(shapes) and np.abs(fit(vertices).weights - weights).max() < 1e-5
    assert (
        np.abs(fit(vertices).weights - fit_blendshapes(vertices, neutral, deltas, method="lsqr")[0]).max()
        < 1e-5
    )


def test_the_dataset_has_the_truth(shoot, captured):
    for take in ("20260101_001", "20260101_002"):
        about = read_json(captured / "annotations" / "sync" / f"{take}.json")
        times = about["start_seconds"] + np.arange(about["frames"]) / 30
        for actor in ACTORS:
            name = f"20260101_{actor}_{take[-3:]}"
            weights = np.load(captured / "dataset" / "face_arkit" / f"{name}.npy")
            assert weights.dtype == np.float32 and weights.shape == (about["frames"], 51)
            assert np.abs(weights - shoot.truth[name].weights_at(times)).max() < 1e-4, (
                "the dropped frame included"
            )
            report = read_json(captured / "annotations" / "fit" / f"{name}.json")
            assert (
                report["residual_max_cm"] < 1e-5
                and report["nan_frames_interpolated"] == 0
                and report["vertices"] == 120
            )


def spoil(path, frames, *, delete=False, only=slice(None)):
    """Make frames NaN, all their vertices or some of them, or lose them."""
    with h5py.File(path, "r") as f:
        vertices, codes, attrs = (
            f["vertices"][()],
            [code.decode() for code in f["timecode"][()]],
            dict(f.attrs),
        )
    if delete:
        vertices, codes = (
            np.delete(vertices, frames, 0),
            [code for i, code in enumerate(codes) if i not in frames],
        )
    else:
        vertices[frames, only, 2] = np.nan
    write_mesh(path, vertices, codes, units=attrs["units"])


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("first", [60, 90])
def test_short_gaps_are_mended(work, captured, first, delete):
    path, arguments, (out, report) = work
    blendshapes.main([str(a) for a in arguments])
    whole = np.load(out)
    spoil(path, range(first, first + 3), delete=delete)
    blendshapes.main([str(a) for a in [*arguments, "--block-frames", "7"]])
    assert np.abs(np.load(out) - whole).max() < 1e-4
    assert read_json(report)["nan_frames_interpolated"] == (0 if delete else 3)


def test_nan_vertices_are_masked_and_counted(work):
    path, arguments, (out, report) = work
    blendshapes.main([str(a) for a in arguments])
    whole = np.load(out)
    spoil(path, range(60, 80), only=slice(7, 27))
    blendshapes.main([str(a) for a in arguments])
    found = read_json(report)
    assert found["frames_with_masked_vertices"] == 20 and found["nan_frames_interpolated"] == 0
    assert np.abs(np.load(out) - whole).max() < 1e-4


def test_a_live_link_recording_needs_no_rig(work, captured, shoot, tmp_path):
    _, arguments, (out, report) = work
    truth, path = shoot.truth[NAME], tmp_path / f"{NAME}.csv"
    times = truth.start["face"] + np.arange(105) / 30
    rows = [["Timecode", "BlendShapeCount", *arkit.NAMES]]
    rows += [
        [format_timecode(time, 60), "51", *map(repr, weights.tolist())]
        for time, weights in zip(times, truth.weights_at(times))
    ]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    blendshapes.main([str(a) for a in ["--face", path, *arguments[4:]]])
    about = read_json(arguments[5])
    assert (
        np.abs(
            np.load(out) - truth.weights_at(about["start_seconds"] + np.arange(about["frames"]) / 30)
        ).max()
        < 1e-4
    )
    assert read_json(report)["source"] == "live link"


@pytest.mark.parametrize(
    ("change", "needles"),
    [
        (
            lambda p: spoil(p, range(60, 64)),
            ["take 20260101_001, actor 001", "no usable frame for 0.167 s", "at most 0.1 s"],
        ),
        (
            lambda p: spoil(p, range(60, 64), delete=True),
            ["take 20260101_001, actor 001", "no usable frame for 0.167 s"],
        ),
        (lambda p: spoil(p, range(104)), ["take 20260101_001, actor 001", "cover no s"]),
        (lambda p: p.write_bytes(p.read_bytes()[:40_000]), ["not a readable HDF5"]),
        (lambda p: p.write_bytes(b"\xe9\xff" * 99), ["not a readable HDF5"]),
        (lambda p: p.unlink(), ["no such file"]),
    ],
)
def test_bad_input_stops_with_one_line(work, capsys, change, needles):
    path, arguments, outputs = work
    change(path)
    refused(blendshapes.main, arguments, capsys, f"{NAME}.mesh.h5", *needles, outputs=outputs)


def test_bad_rigs_stop_with_one_line(work, capsys, tmp_path):
    path, arguments, outputs = work
    neutral, deltas = np.zeros((90, 3)), np.zeros((51, 90, 3))
    np.savez(
        tmp_path / "small.npz",
        neutral=neutral,
        names=np.array(arkit.NAMES),
        deltas=deltas,
        faces=np.zeros((0, 3), int),
    )
    with_rig = [*arguments[:3], tmp_path / "small.npz", *arguments[4:]]
    refused(
        blendshapes.main, with_rig, capsys, "120 vertices a frame, the rig small.npz has 90", outputs=outputs
    )
    refused(
        blendshapes.main,
        arguments[:2] + arguments[4:],
        capsys,
        "a mesh stream needs the actor's rig",
        outputs=outputs,
    )
    refused(
        blendshapes.main,
        [*arguments, "--block-frames", "0"],
        capsys,
        "option --block-frames: got 0",
        outputs=outputs,
    )
    refused(
        blendshapes.main,
        [*arguments, "--performance", "me"],
        capsys,
        "need <date>_<actor>_<scenario>",
        outputs=outputs,
    )


@pytest.mark.parametrize(("base", "step"), [(60, 1), (60, 2), (30, 1), (25, 1), (24, 1), (30000 / 1001, 1)])
@pytest.mark.parametrize("form", [{}, {"end": "\r\n", "bom": True}, {"last_end": False}])
@pytest.mark.parametrize("name", ["MySlate_3_iPhone.csv", "MySlate_3_iPhone_cal.csv", "slate 3 (raw).csv"])
def test_a_csv_alone_gives_its_weights(tmp_path, base, step, form, name):
    """Whatever the app's timecode counts at, with its day's end within and frames between frames.

    No flag but --out is needed.
    """
    drop = base % 1 != 0
    count = 4 * round(base) // step
    codes = [format_timecode((k * step + 0.4) / base + 3599, base, drop_frame=drop) for k in range(count)]
    weights = ramp(count)
    path, out = live_link_csv(tmp_path / name, codes, weights, **form), tmp_path / "w.npy"
    blendshapes.main([str(path), "--out", str(out), "--fps", str(base / step)])
    found = np.load(out)
    assert found.dtype == np.float32 and found.shape == (count, 51) and np.abs(found - weights).max() < 1e-5
    blendshapes.main([str(path), "--out", str(out)])
    assert abs(len(np.load(out)) - ((count - 1) * step / base * 30 + 1)) < 1


def test_frames_without_a_face_are_bridged_and_long_gaps_named(tmp_path, capsys):
    codes = [format_timecode(k / 60 + 40_000, 60) for k in range(240)]
    weights = [None if k in (0, 50, 51, 239) else row for k, row in enumerate(ramp(240))]
    path, out, report = tmp_path / "a.csv", tmp_path / "w.npy", tmp_path / "r.json"
    blendshapes.main(
        [
            str(live_link_csv(path, codes, weights)),
            "--out",
            str(out),
            "--out-report",
            str(report),
            "--fps",
            "60",
        ]
    )
    assert (
        np.abs(np.load(out) - ramp(240)[1:239]).max() < 1e-5
        and read_json(report)["nan_frames_interpolated"] == 4
    )
    assert read_json(report)["performance"] == "a"
    out.unlink()
    live_link_csv(path, codes, [None if 50 <= k < 70 else row for k, row in enumerate(ramp(240))])
    refused(
        blendshapes.main,
        [path, "--out", out],
        capsys,
        "no usable frame for 0.3",
        "or raise --max-gap-seconds",
        outputs=[out],
    )
    live_link_csv(path, codes, [None] * 240)
    refused(
        blendshapes.main,
        [path, "--out", out],
        capsys,
        "a.csv: 0 usable frames, need at least 2",
        outputs=[out],
    )
    neutral = live_link_csv(tmp_path / "S_1_iPhone_neutral.csv", codes[:1], ramp(1))
    refused(
        blendshapes.main,
        [neutral, "--out", out],
        capsys,
        "is the neutral face of a calibration",
        outputs=[out],
    )


def test_a_mesh_alone_needs_its_rig_and_what_it_does_not_say(tmp_path, shoot, capsys):
    """The stream of a take alone is that of the take, but for where it begins.

    As OBJ files and an array, the same.
    """
    face, rig = shoot.folder / "20260101_001" / f"{NAME}.mesh.h5", shoot.folder / "rigs" / "001.npz"
    out, report = tmp_path / "w.npy", tmp_path / "r.json"
    blendshapes.main([str(face), "--rig", str(rig), "--out", str(out), "--out-report", str(report)])
    found = np.load(out)
    with h5py.File(face) as f:
        vertices = f["vertices"][:24]
    assert (
        read_json(report)["source"] == "mesh"
        and read_json(report)["residual_rms_cm"] < 0.05
        and np.isfinite(found).all()
    )
    refused(
        blendshapes.main,
        [face, "--out", out.with_name("x.npy")],
        capsys,
        "a mesh stream needs the actor's rig; give --rig",
    )
    folder = tmp_path / "frames"
    folder.mkdir()
    for k, frame in enumerate(vertices):
        (folder / f"{k:05}.obj").write_text(
            "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in frame) + "f 1 2 3\n"
        )
    np.save(tmp_path / "frames.npy", vertices)
    results = []
    for path in (folder, tmp_path / "frames.npy"):
        refused(
            blendshapes.main,
            [path, "--rig", rig, "--out", out],
            capsys,
            "says its units and rate; give --units and --rate",
        )
        blendshapes.main(
            [str(path), "--rig", str(rig), "--units", "cm", "--rate", "60", "--fps", "60", "--out", str(out)]
        )
        results.append(np.load(out))
    assert len(results[0]) == 24 and np.abs(results[0] - results[1]).max() < 1e-3


def test_a_take_and_a_stream_alone_are_told_apart(work, capsys, tmp_path):
    face, arguments, _ = work
    for extra in (["--sync", "x.json"], ["--performance", NAME]):
        refused(
            blendshapes.main,
            [face, "--out", tmp_path / "w.npy", *extra],
            capsys,
            "need both for a face of a take, or neither",
        )
    refused(blendshapes.main, [*arguments, "--fps", "60"], capsys, "--fps beside --sync, which says them")


def reshaped(path, change):
    """Put other vertices into a mesh stream."""
    with h5py.File(path, "r+") as f:
        vertices = change(f["vertices"][()])
        attributes = dict(f["vertices"].attrs)
        del f["vertices"]
        f["vertices"] = vertices
        f["vertices"].attrs.update(attributes)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v / 100,
        lambda v: v * 10,
        lambda v: v[:, np.random.default_rng(0).permutation(v.shape[1])],
        lambda v: v[:, ::-1],
        lambda v: 0 * v,
        lambda v: v * np.float32([-1, 1, 1]),
    ],
    ids=["m", "mm", "order", "reverse", "empty", "mirror"],
)
def test_a_mesh_that_is_no_face_of_the_rig_is_refused(work, capsys, change):
    path, arguments, outputs = work
    reshaped(path, change)
    refused(
        blendshapes.main,
        arguments,
        capsys,
        f"{NAME}.mesh.h5",
        "need",
        "check the mesh's units, the order",
        outputs=outputs,
    )


def test_a_bad_fit_is_warned_of_and_said_once_by_quality(work, caplog):
    path, arguments, (out, report) = work
    blendshapes.main([str(a) for a in arguments])
    assert read_json(report)["warnings"] == [], "a good fit"
    reshaped(path, lambda v: v + np.random.default_rng(1).normal(0, 0.8, v.shape[1:]).astype(np.float32))
    blendshapes.main([str(a) for a in arguments])
    about, weights = read_json(report), np.load(out)
    assert about["residual_rms_cm"] > 0.1 and "is it the actor's rig?" in caplog.text
    fits = {"fit": {NAME: about}}
    reasons = list(quality.part_reasons(fits, len(weights)))
    assert len(reasons) == 1 and len(list(quality.warnings_of(fits, []))) == len(about["warnings"]) > 0
    if reason := face_quality.range_reason(float(weights.min()), float(weights.max())):
        reasons.append(f"{NAME}: {reason}")
    assert len(about["warnings"]) == len(reasons) and not list(quality.warnings_of(fits, reasons)), (
        "quality has its own reason for each"
    )


@pytest.mark.parametrize("form", [".mesh.h5", ".npy", "_obj"])
@pytest.mark.parametrize("size", [1e20, 1e36, 1e300])
def test_coordinates_beyond_any_head_are_refused(tmp_path, shoot, capsys, recwarn, form, size):
    """Whatever the form and its precision; NumPy warns of nothing."""
    with h5py.File(shoot.folder / "20260101_001" / f"{NAME}.mesh.h5") as f:
        vertices = f["vertices"][:24].astype(float)
    vertices[7, 3, 1] *= size
    path, more = tmp_path / f"face{form}", ["--units", "cm", "--rate", "60"]
    if form == ".mesh.h5":
        with h5py.File(path, "w") as f:
            f["vertices"], f.attrs["rate"], f.attrs["units"], more = vertices, 60.0, "cm", []
    elif form == ".npy":
        np.save(path, vertices)
    else:
        path.mkdir()
        for k, frame in enumerate(vertices):
            (path / f"{k:05}.obj").write_text(
                "".join(f"v {x!r} {y!r} {z!r}\n" for x, y, z in frame.tolist()) + "f 1 2 3\n"
            )
    rig, out = shoot.folder / "rigs" / "001.npz", tmp_path / "w.npy"
    refused(
        blendshapes.main,
        [path, "--rig", rig, "--out", out, *more],
        capsys,
        "frame 7, vertex 3: y",
        "need 100,000 cm at most",
        outputs=[out],
    )
    assert not recwarn.list


def test_weights_in_percent_are_refused(tmp_path, capsys, caplog):
    codes = [format_timecode(i / 60, 60) for i in range(150)]
    path, out = live_link_csv(tmp_path / "a.csv", codes, 100 * ramp(150)), tmp_path / "w.npy"
    refused(
        blendshapes.main,
        [path, "--out", out],
        capsys,
        "a.csv: weights reach from 0 to 100, need 0 to 1: are they in percent?",
        outputs=[out],
    )
    blendshapes.main([str(live_link_csv(path, codes, 2 * ramp(150))), "--out", str(out)])
    assert "need 0 to 1: face weights reach from" in caplog.text, "a gain on top is told"


def test_rows_that_stand_twice_are_told(tmp_path, caplog):
    codes = [format_timecode(i / 60, 60) for i in range(150)]
    out = tmp_path / "w.npy"
    blendshapes.main([str(live_link_csv(tmp_path / "a.csv", codes, ramp(150))), "--out", str(out)])
    assert "again" not in caplog.text
    blendshapes.main(
        [
            str(live_link_csv(tmp_path / "a.csv", np.repeat(codes, 2), np.repeat(ramp(150), 2, axis=0))),
            "--out",
            str(out),
        ]
    )
    assert "150 of 300 rows are the row before again, the first is line 3" in caplog.text


def test_a_recording_without_a_column_is_to_be_exported_again(tmp_path, capsys):
    path, out = (
        live_link_csv(tmp_path / "a.csv", [format_timecode(i / 60, 60) for i in range(9)], ramp(9)),
        tmp_path / "w.npy",
    )
    path.write_text(path.read_text().replace("JawOpen", "Jaw"))
    error = refused(
        blendshapes.main,
        [path, "--out", out],
        capsys,
        "jawOpen; export the recording again with all columns",
        outputs=[out],
    )
    assert "rig" not in error.replace(str(tmp_path), "")
