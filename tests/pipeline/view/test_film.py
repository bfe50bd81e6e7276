"""Films: what is in the file, picture and sound together, and where things are in the picture."""

from fractions import Fraction

import numpy as np
import pytest
import soundfile
from helpers import needs
from helpers.tiny_dataset import body
from helpers.tiny_scene import TAKE, make_run, simulated_rig

from pipeline.formats.bvh import save_bvh
from pipeline.motion import rotations
from pipeline.motion.skeleton import forward_kinematics
from pipeline.view.film import chosen_variants, parse_size, phrases, said_at, span_of, write_film
from pipeline.view.picture import Pictures, ground_height, steady_camera, tiles
from pipeline.view.scene import Performance, Person, Scene, Variant
from pipeline.view.sources import open_source

SMALL = (320, 180)


def decoded(path):
    """Pictures (T, H, W, 3), their times, sound (S, 2) and its rate, of a film."""
    import av

    with av.open(str(path)) as film:
        pictures, times = [], []
        for frame in film.decode(video=0):
            pictures.append(frame.to_ndarray(format="rgb24"))
            times.append(float(frame.pts * frame.time_base))
    with av.open(str(path)) as film:
        if not film.streams.audio:
            return np.array(pictures), np.array(times), None, None
        parts, first = [], None
        for frame in film.decode(audio=0):
            first = float(frame.pts * frame.time_base) if first is None else first
            parts.append(frame.to_ndarray())
        sound, rate = np.concatenate(parts, 1).T, frame.sample_rate
    # what lies before 0 primes the decoder and is not heard
    sound = (
        sound[max(round(-first * rate), 0) :]
        if first < 0
        else np.pad(sound, ((round(first * rate), 0), (0, 0)))
    )
    return np.array(pictures), np.array(times), sound, rate


def film(root, out, *flags, takes=(TAKE,)):
    from pipeline.view import film as stage

    stage.main([*takes, "--source", str(root), "--out", str(out), "--size", "320x180", *flags])
    return out / f"{takes[0]}.mp4"


def test_a_film_is_what_browsers_play_and_the_same_each_time(tmp_path):
    needs.films()
    import av

    make_run(tmp_path / "run", num_frames=30)
    path = film(tmp_path / "run", tmp_path / "one", "--variants", "captured", "trained_models/sample-01")
    again = film(tmp_path / "run", tmp_path / "two", "--variants", "captured", "trained_models/sample-01")
    assert path.read_bytes() == again.read_bytes()
    with av.open(str(path)) as made:
        video, audio = made.streams.video[0], made.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height, video.average_rate, video.frames) == (320, 180, 30, 30)
        assert audio.codec_context.name == "aac" and audio.codec_context.layout.nb_channels == 2
        assert video.duration * video.time_base == 1
        assert abs(audio.duration * audio.time_base - 1) < Fraction(1, 20)
        assert not {key for key in made.metadata if "date" in key or "time" in key or key == "encoder"}
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it plays before it is there as a whole"


def test_a_take_without_voices_is_silent_and_without_rigs_has_no_faces(tmp_path):
    needs.films()
    save_bvh(tmp_path / "in" / "bvhs" / "walk.bvh", body(12))
    pictures, times, sound, _ = decoded(film(tmp_path / "in", tmp_path / "out", takes=("walk",)))
    assert sound is None and len(pictures) == 12
    np.testing.assert_allclose(times, np.arange(12) / 30, atol=1e-6)
    assert pictures.std() > 5


def clap(num_frames, at, *, rate=48_000):
    """Two hands that meet at a frame, and a voice with a click there: a scene, and the click's samples."""
    motion = body(num_frames)
    names = [*motion.names, "LeftArm", "LeftForeArm", "LeftHand", "RightArm", "RightForeArm", "RightHand"]
    parents, offsets = list(motion.parents), list(motion.offsets_cm)
    for sign in (1, -1):
        parents += [1, len(parents), len(parents) + 1]
        offsets += [np.array([sign * 16.0, 36, 0]), np.array([0, -28.0, 0]), np.array([0, -25.0, 0])]
    offsets = np.array(offsets)
    positions = np.repeat(offsets[None], num_frames, 0)
    positions[:, 0] = motion.positions_cm[:, 0]
    local = np.tile([0.0, 0, 0, 1.0], (num_frames, len(names), 1))
    shut = np.clip(1 - np.abs(np.arange(num_frames) - at) / 2, 0, 1)  # apart but for three frames
    for side, sign in (("Left", 1), ("Right", -1)):
        j = names.index(f"{side}Arm")
        raised = rotations.about("x", np.full(num_frames, -np.pi / 2))
        local[:, j] = rotations.multiply(rotations.about("y", sign * (0.9 - 1.4 * shut)), raised)
    made = type(motion)(names, np.array(parents), offsets, 30.0, positions, local, motion.ends_cm)
    sound = np.zeros(num_frames * rate // 30, np.float32)
    first = at * rate // 30
    sound[first : first + 200] = 0.9 * np.random.default_rng(0).uniform(-1, 1, 200)
    return made, sound


@pytest.mark.parametrize("at", [20, 61])
def test_picture_and_sound_of_a_clap_are_within_a_frame(tmp_path, at):
    """Found in the film as it is decoded: when hands move together and apart, and the first loud sample."""
    needs.films()
    motion, sound = clap(90, at)
    voice = tmp_path / "voice.wav"
    soundfile.write(voice, sound, 48_000)
    scene = Scene(
        "clap", 30.0, 90, (Person("001", None, voice),),
        (Variant("captured", "captured", (Performance(motion, None),)),),
    )  # fmt: skip
    write_film(scene, ["captured"], [[]], tmp_path / "clap.mp4", size=SMALL)
    pictures, times, heard, rate = decoded(tmp_path / "clap.mp4")
    change = np.abs(np.diff(pictures.astype(int), axis=0)).mean((1, 2, 3))
    moving = np.flatnonzero(change > 0.3 * change.max())
    seen = (times[moving[0]] + times[moving[-1] + 1]) / 2
    loud = np.abs(heard).max(1)
    click = np.flatnonzero(loud > 0.3 * loud.max())[0] / rate
    assert abs(seen - at / 30) <= 1 / 30 and abs(click - at / 30) <= 1 / 30
    assert abs(seen - click) <= 1 / 30


def test_words_and_span(tmp_path):
    said = [
        {"word": w, "start": s, "end": s + 0.3} for w, s in (("Well,", 0.1), ("hello", 0.5), ("there", 2.0))
    ]
    captions = phrases(said)
    assert captions == [(0.1, pytest.approx(1.3), "Well, hello"), (2.0, pytest.approx(2.8), "there")]
    assert [said_at(captions, t) for t in (0, 0.2, 1.2, 1.5, 2.1, 3)] == [
        "",
        "Well, hello",
        "Well, hello",
        "",
        "there",
        "",
    ]
    assert phrases([]) == []
    many = [{"word": "again", "start": k / 2, "end": k / 2 + 0.4} for k in range(40)]
    assert all(len(text) < 90 for _, _, text in phrases(many)) and len(phrases(many)) > 2


def test_a_part_of_a_take(tmp_path):
    needs.films()
    make_run(tmp_path / "run", num_frames=45, samples=0)
    whole, _, sound, _ = decoded(film(tmp_path / "run", tmp_path / "a"))
    part, _, part_sound, rate = decoded(
        film(tmp_path / "run", tmp_path / "b", "--start", "0.5", "--stop", "1")
    )
    assert len(whole) == 45 and len(part) == 15
    inner = slice(30, 140)
    assert np.abs(part[5, inner].astype(int) - whole[20, inner].astype(int)).mean() < 3
    assert abs(len(part_sound) / rate - 0.5) < 0.1


@pytest.mark.parametrize("faces", [0, 1, 2])
@pytest.mark.parametrize("variants", [1, 2, 3])
def test_tiles_share_the_picture(variants, faces):
    laid = tiles(variants, faces)
    boxes = [box for own, below in laid for box in (own, *below)]
    assert len(laid) == variants and all(len(below) == faces for _, below in laid)
    area = sum((right - left) * (top - bottom) for left, bottom, right, top in boxes)
    assert area == pytest.approx(1) and all(0 <= v <= 1 for box in boxes for v in box)


@pytest.mark.parametrize("aspect", [0.6, 1.0, 1.8])
@pytest.mark.parametrize("seed", range(4))
def test_the_camera_sees_everything_and_not_much_more(aspect, seed):
    rng = np.random.default_rng(seed)
    paths = [
        rng.uniform(-150, 150, 3) * [1, 0, 1] + np.cumsum(rng.normal(0, 4, (200, 1, 3)), 0) for _ in range(2)
    ]
    bodies = [path * [1, 0, 1] + rng.uniform([-30, 0, -30], [30, 180, 30], (200, 20, 3)) for path in paths]
    camera = steady_camera(bodies, aspect)
    seen = np.concatenate([camera.project(body).reshape(-1, 2) for body in bodies])
    assert np.abs(seen).max() < 1, "no joint is outside"
    assert np.abs(seen).max() > 0.6, "the picture is filled"
    assert abs(seen[:, 0].max() + seen[:, 0].min()) < 0.25
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-9)
    assert camera.axes[1, 1] > 0.9 and np.linalg.det(camera.axes) == pytest.approx(1)


def test_joints_are_where_forward_kinematics_says():
    """A small bright body at each of some places is found in the picture where the camera projects it."""
    needs.films()
    motion = body(3, scale=0.07)  # hardly larger than a dot
    motion.names[motion.names.index("Head")] = "Top"  # a head is never so small
    motion.positions_cm[:, 0] = [[-60, 40, 20], [0, 120, -40], [70, 60, 60]]
    far = body(3, scale=0.07)
    far.names[:] = motion.names
    far.positions_cm[:, 0] = [[-90, 5, -70], [-90, 5, -70], [95, 150, 75]]
    people = (Person("001", None, None), Person("002", None, None))
    scene = Scene(
        "dots",
        30.0,
        3,
        people,
        (Variant("captured", "captured", (Performance(motion, None), Performance(far, None))),),
    )
    size = (800, 600)
    pictures = Pictures(scene, ["captured"], size)
    for frame in range(3):
        picture = pictures.frame(frame).astype(int)
        for one, channel in ((motion, 0), (far, 2)):
            strength = picture[..., channel] - (picture.sum(-1) - picture[..., channel]) / 2
            rows, columns = np.nonzero(strength > 60)
            assert len(rows), frame
            world, _ = forward_kinematics(one.frames(slice(frame, frame + 1)))
            x, y = pictures.camera.project((world[0].min(0) + world[0].max(0)) / 2)
            want = np.array([(x + 1) / 2 * size[0], (1 - y) / 2 * size[1]])
            assert (
                np.abs(
                    np.array([np.ptp(columns) / 2 + columns.min(), np.ptp(rows) / 2 + rows.min()])
                    + 0.5
                    - want
                ).max()
                < 5
            )


def test_a_mouth_that_opens_is_seen():
    needs.films()
    rig = simulated_rig(num_vertices=1500)
    from pipeline.formats.arkit import NAMES

    face = np.zeros((2, len(NAMES)), np.float32)
    face[1, NAMES.index("jawOpen")] = 1
    motion = body(2)
    scene = Scene(
        "jaw",
        30.0,
        2,
        (Person("001", rig, None),),
        (Variant("captured", "captured", (Performance(motion, face),)),),
    )
    pictures = Pictures(scene, ["captured"], (400, 300))
    shut, opened = pictures.frame(0).astype(int), pictures.frame(1).astype(int)
    left = round(pictures.tiles[0][1][0][0] * 400)
    changed = np.abs(opened - shut).mean(-1)[:, left:]
    assert (changed[150:] > 20).mean() > 5 * (changed[:100] > 20).mean() and (changed > 20).mean() > 0.02


def test_ground_is_where_bodies_stand():
    motion = body(5)
    world, _ = forward_kinematics(motion)
    assert ground_height([world]) == 0.0
    assert ground_height([world + [0, 100, 0]]) == pytest.approx(world[..., 1].min() + 100)


@pytest.mark.parametrize("text", ["1280", "1281x720", "0x720", "99999x2", "ax720", "-2x4", "1280x720x3", ""])
def test_sizes_that_no_film_has_are_refused(text):
    from pipeline.errors import InputError

    assert parse_size("640x360") == (640, 360)
    with pytest.raises(InputError, match="need even numbers from 120 to 4096"):
        parse_size(text)


def test_bad_requests_are_told(tmp_path, capsys):
    from pipeline.errors import InputError

    make_run(tmp_path / "run", samples=1)
    source = open_source(tmp_path / "run")
    assert chosen_variants(source, TAKE, None) == ["captured"]
    with pytest.raises(InputError, match="no variant 'x', there are: captured, trained_models"):
        chosen_variants(source, TAKE, ["x"])
    scene = source.scene(TAKE, ["captured"])
    assert span_of(scene, 0.5, None) == range(15, 45) and span_of(scene, 0, 99) == range(45)
    for start, stop in ((2, None), (1, 0.5), (-1, None)):
        with pytest.raises(InputError, match="need moments within its 1.5 s"):
            span_of(scene, start, stop)
    with pytest.raises(SystemExit) as stop:
        film(tmp_path / "run", tmp_path / "out", takes=("20260101_009",))
    assert stop.value.code == 2 and f"did you mean {TAKE}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("module", ["av", "vtkmodules.vtkRenderingOpenGL2"])
def test_a_missing_extra_is_named(tmp_path, capsys, monkeypatch, module):
    import sys

    make_run(tmp_path / "run", num_frames=12, samples=0)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as stop:
        film(tmp_path / "run", tmp_path / "out")
    assert stop.value.code == 2 and "pip install -e '.[films]'" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.mp4"))
