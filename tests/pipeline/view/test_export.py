import shutil

import numpy as np
import pygltflib
import pytest
import soundfile
from helpers.tiny_scene import NUM_FRAMES, PERFORMANCES, TAKE, make_run, simulated_rig

from pipeline.formats import arkit, live_link
from pipeline.view import export
from pipeline.view.glb import LEFT_OUT_CM, shapes
from pipeline.view.sources import open_source


def run(root, out, *flags):
    export.main([TAKE, "--source", str(root), "--out", str(out), *flags])


def test_a_take_becomes_a_folder_of_files(tmp_path):
    made = make_run(tmp_path / "run")
    run(tmp_path / "run", tmp_path / "out", "--formats", "glb", "bvh", "wav")
    folder = tmp_path / "out" / TAKE
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    keys = ("captured", "trained_models", "trained_models-sample-01")
    assert names == {f"voice.{actor}.wav" for actor in ("001", "002")} | {
        f"{key}.{ending}" for key in keys for ending in ("glb", "001.bvh", "002.bvh")
    }
    body = made.dataset / "bvhs" / f"{PERFORMANCES[0]}.bvh"
    assert (folder / "captured.001.bvh").read_bytes() == body.read_bytes()
    again = tmp_path / "again"
    run(tmp_path / "run", again, "--formats", "glb")
    for key in keys:
        assert (again / TAKE / f"{key}.glb").read_bytes() == (folder / f"{key}.glb").read_bytes()


@pytest.mark.parametrize("subtype, bits", [("PCM_16", "PCM_16"), ("PCM_24", "PCM_24"), ("FLOAT", "PCM_24")])
def test_a_flac_has_the_samples_of_the_voice(tmp_path, subtype, bits):
    made = make_run(tmp_path / "run", samples=0)
    voice = made.dataset / "wav" / f"{PERFORMANCES[0]}.wav"
    samples, rate = soundfile.read(voice, dtype="float32")
    soundfile.write(voice, samples, rate, subtype=subtype)
    run(tmp_path / "run", tmp_path / "out", "--formats", "flac")
    flac = tmp_path / "out" / TAKE / "voice.001.flac"
    there, before = soundfile.read(flac, dtype="float32")[0], soundfile.read(voice, dtype="float32")[0]
    assert soundfile.info(flac).subtype == bits and soundfile.info(flac).samplerate == rate
    np.testing.assert_allclose(there, before, atol=2**-23)


def test_a_voice_that_is_no_number_is_refused(tmp_path, capsys):
    made = make_run(tmp_path / "run", samples=0)
    voice = made.dataset / "wav" / f"{PERFORMANCES[0]}.wav"
    samples, rate = soundfile.read(voice, dtype="float32")
    samples[100] = np.nan
    soundfile.write(voice, samples, rate, subtype="FLOAT")
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "run", tmp_path / "out")
    assert stop.value.code == 2 and f"{PERFORMANCES[0]}.wav" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.flac"))


def test_a_glb_has_one_animation_two_bodies_and_two_heads(tmp_path):
    make_run(tmp_path / "run")
    run(tmp_path / "run", tmp_path / "out", "--variants", "trained_models/sample-01")
    file = pygltflib.GLTF2().load(tmp_path / "out" / TAKE / "trained_models-sample-01.glb")
    assert [animation.name for animation in file.animations] == ["trained_models/sample-01"]
    assert len(file.skins) == 2 and not file.extensionsUsed and not file.extensionsRequired
    heads = [mesh for mesh in file.meshes if mesh.primitives[0].targets]
    assert [mesh.extras["targetNames"] for mesh in heads] == [list(arkit.NAMES)] * 2
    clock = file.accessors[
        max({s.input for s in file.animations[0].samplers}, key=lambda i: file.accessors[i].count)
    ]
    assert clock.count == NUM_FRAMES and clock.max == [pytest.approx((NUM_FRAMES - 1) / 30)]
    assert file.asset.extras == {"take": TAKE, "fps": 30.0, "frames": NUM_FRAMES}


def test_faces_become_recordings_of_live_link_face(tmp_path):
    made = make_run(tmp_path / "run", samples=1)
    run(tmp_path / "run", tmp_path / "out", "--formats", "csv", "--timecode", "10:00:00:30")
    folder = tmp_path / "out" / TAKE
    for key, source in (
        ("captured", made.dataset),
        ("trained_models", tmp_path / "run" / "results" / "generated" / "trained_models"),
    ):
        for actor, name in zip(("001", "002"), PERFORMANCES):
            weights = np.load(source / "face_arkit" / f"{name}.npy")
            path = folder / f"{key}.{actor}.csv"
            np.testing.assert_allclose(live_link.read_weights(path), weights, atol=1e-6, rtol=0)
            assert live_link.read_timecodes(path)[1] == "10:00:00:32.000"
    shutil.rmtree(made.dataset / "face_arkit")
    run(tmp_path / "run", tmp_path / "bare", "--variants", "captured", "--formats", "csv", "bvh")
    assert not list((tmp_path / "bare").rglob("*.csv")) and list((tmp_path / "bare").rglob("*.bvh"))


def test_variants_on_one_skeleton_share_their_characters(tmp_path):
    make_run(tmp_path)
    from pipeline.view.glb import characters, write_glb

    scene = open_source(tmp_path).scene(TAKE)
    found, shown = characters(scene)
    assert len(found) == 2 and set(shown.values()) == {(0, 1)}
    write_glb(scene, tmp_path / "all.glb")
    file = pygltflib.GLTF2().load(tmp_path / "all.glb")
    assert [a.name for a in file.animations] == [v.key for v in scene.variants] and len(file.skins) == 2


def test_what_is_left_out_of_shapes_moves_no_vertex_far():
    rig = simulated_rig(num_vertices=1500)
    rng = np.random.default_rng(0)
    rig.deltas[:] += rng.normal(0, 1e-5, rig.deltas.shape)  # as rigs from other programs have everywhere
    found = shapes(rig)
    kept = np.zeros_like(rig.deltas)
    for k, (vertices, delta) in enumerate(found):
        kept[k, vertices] = delta
    left = np.linalg.norm(rig.deltas - kept, axis=-1).sum(0)
    assert left.max() <= LEFT_OUT_CM and (kept != 0).any(-1).mean() < 0.5


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--formats", "fbx"], "got 'fbx', need some of glb"),
        (["--formats", "csv", "--timecode", "noon"], "timecode 'noon': need HH:MM:SS:FF"),
        (["--variants", "best"], "no variant 'best', there are: captured, trained_models"),
    ],
)
def test_a_wrong_word_is_told_in_one_line(tmp_path, capsys, flags, words):
    make_run(tmp_path / "run", samples=1)
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "run", tmp_path / "out", *flags)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.strip().splitlines()[-1].startswith("error: ")
    assert not list((tmp_path / "out").rglob("*.glb"))


def test_nothing_that_others_wrote_is_replaced(tmp_path, capsys):
    make_run(tmp_path / "run", samples=0)
    (tmp_path / "out" / TAKE).mkdir(parents=True)
    (tmp_path / "out" / TAKE / "captured.glb").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "run", tmp_path / "out")
    assert stop.value.code == 2 and "captured.glb" in capsys.readouterr().err
    assert (tmp_path / "out" / TAKE / "captured.glb").read_text() == "mine"
