from dataclasses import replace

import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.tiny_release import make_release

from pipeline.files import sha256
from pipeline.formats import ict
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import rotations
from pipeline.motion.pose import encode
from pipeline.motion.skeleton import forward_kinematics
from pipeline.reading import read_json
from pipeline.release import ingest

NAMES = ("20231101_003_001", "20231101_005_001")


@pytest.fixture
def folder(tmp_path):
    """A made-up download of one take of 30 frames."""
    make_release(tmp_path / "interact", num_takes=1, seconds=1.0)
    return tmp_path / "interact"


def arguments(folder, out, *, own=0, face="face_arkit", **options):
    names = [NAMES[own], NAMES[1 - own]]
    files = {"bvh": ("bvhs", ".bvh"), "face": (face, ".npy"), "wav": ("wav", ".wav")}
    flags = [
        word
        for key, (kind, end) in files.items()
        for word in (f"--{key}", *(folder / kind / f"{name}{end}" for name in names))
    ]
    outs = {"bvh": "body.bvh", "face": "face.npy", "wav": "voice.wav", "report": "report.json"}
    flags += [word for key, name in outs.items() for word in (f"--out-{key}", out / name)]
    flags += [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]
    return [str(word) for word in flags]


def take_in(folder, out, **options):
    ingest.main(arguments(folder, out, **options))
    return (
        load_bvh(out / "body.bvh"),
        np.load(out / "face.npy"),
        soundfile.read(out / "voice.wav")[0],
        read_json(out / "report.json"),
    )


def sums(folder):
    return {
        path: (sha256(path), path.stat().st_mode, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_right_is_linked_and_the_download_stays_as_it_is(folder, tmp_path):
    for path in folder.rglob("*.*"):
        path.chmod(0o444)
    before = sums(folder)
    report = take_in(folder, tmp_path / "out")[-1]
    for name, source in (
        ("body.bvh", f"bvhs/{NAMES[0]}.bvh"),
        ("face.npy", f"face_arkit/{NAMES[0]}.npy"),
        ("voice.wav", f"wav/{NAMES[0]}.wav"),
    ):
        assert (tmp_path / "out" / name).is_symlink() and (tmp_path / "out" / name).resolve() == (
            folder / source
        ).resolve()
    assert sums(folder) == before
    assert report == {
        "performance": NAMES[0],
        "frames": 30,
        "decimated_by": 1,
        "trimmed_frames": {"body": 0, "face": 0, "wav": 0},
        "face_from_ict": False,
        "warnings": [],
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "body.bvh",
        "face.npy",
        "report.json",
        "voice.wav",
    ]


@pytest.mark.parametrize("own", [0, 1])
def test_all_streams_of_a_take_are_cut_to_the_shortest(folder, tmp_path, own):
    path = folder / "face_arkit" / f"{NAMES[1]}.npy"
    np.save(path, np.load(path)[:27])
    before = sums(folder)
    motion, weights, voice, report = take_in(folder, tmp_path / "out", own=own)
    assert motion.num_frames == len(weights) == 27 and len(voice) == 27 * 1600
    source = [
        folder / kind / f"{NAMES[own]}{end}"
        for kind, end in (("bvhs", ".bvh"), ("face_arkit", ".npy"), ("wav", ".wav"))
    ]
    assert np.abs(motion.positions_cm - load_bvh(source[0]).positions_cm[:27]).max() < 1e-5
    assert np.array_equal(weights, np.load(source[1])[:27]) and np.array_equal(
        voice, soundfile.read(source[2])[0][: 27 * 1600]
    )
    assert report["trimmed_frames"] == {"body": 3, "face": 3 - 3 * own, "wav": 3} and sums(folder) == before


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 96_000])
def test_a_voice_at_another_rate_has_the_samples_of_its_frames(folder, tmp_path, rate):
    for name in NAMES:
        soundfile.write(
            folder / "wav" / f"{name}.wav",
            np.random.default_rng(0).uniform(-1, 1, rate),
            rate,
            subtype="PCM_16",
        )
    np.save(
        folder / "face_arkit" / f"{NAMES[0]}.npy", np.load(folder / "face_arkit" / f"{NAMES[0]}.npy")[:29]
    )
    voice = take_in(folder, tmp_path / "out")[2]
    assert (
        len(voice) == round(29 * rate / 30) and soundfile.info(tmp_path / "out/voice.wav").samplerate == rate
    )
    assert np.array_equal(voice, soundfile.read(folder / "wav" / f"{NAMES[0]}.wav")[0][: len(voice)])


@pytest.mark.parametrize("fps", [60, 120])
def test_faster_bodies_keep_every_kth_frame(tmp_path, fps):
    make_release(tmp_path / "interact", num_takes=1, seconds=1.0, fps=fps)
    motion, weights, _, report = take_in(tmp_path / "interact", tmp_path / "out")
    full = load_bvh(tmp_path / "interact/bvhs" / f"{NAMES[0]}.bvh")
    assert (
        motion.fps == 30 and motion.num_frames == len(weights) == 30 and report["decimated_by"] == fps // 30
    )
    step = fps // 30
    assert np.abs(motion.positions_cm - full.positions_cm[::step]).max() < 1e-5
    turned = np.abs((motion.rotations * full.rotations[::step]).sum(-1))
    assert turned.min() > 1 - 1e-9


def test_a_header_that_lies_is_overruled(tmp_path):
    make_release(tmp_path / "interact", num_takes=1, seconds=1.0, fps=120)
    for name in NAMES:
        path = tmp_path / "interact/bvhs" / f"{name}.bvh"
        path.write_text(path.read_text().replace("Frame Time: 0.0083333333", "Frame Time: 0.0416666667"))
    motion, _, _, report = take_in(tmp_path / "interact", tmp_path / "out", body_fps=120)
    assert motion.num_frames == 30 and motion.fps == 30 and report["decimated_by"] == 4


def test_arkit_weights_are_made_of_ict_weights(folder, tmp_path):
    _, weights, _, report = take_in(folder, tmp_path / "out", face="face_ict")
    assert np.array_equal(
        weights, ict.to_arkit(np.load(folder / "face_ict" / f"{NAMES[0]}.npy"))
    ) and weights.shape == (30, 51)
    assert report["face_from_ict"] and not (tmp_path / "out/face.npy").is_symlink()


def test_a_root_above_the_hips_goes_into_the_hips(folder, tmp_path):
    path = folder / "bvhs" / f"{NAMES[0]}.bvh"
    plain = load_bvh(path)
    turn = rotations.about("y", np.full((30, 1), 0.7))
    reference = replace(
        plain,
        names=["reference", *plain.names],
        parents=np.concatenate([[-1], plain.parents + 1]),
        offsets_cm=np.concatenate([np.zeros((1, 3)), plain.offsets_cm]),
        positions_cm=np.concatenate([np.tile([20.0, 0.0, -5.0], (30, 1, 1)), plain.positions_cm], 1),
        rotations=np.concatenate([turn, plain.rotations], 1),
        ends_cm={joint + 1: end for joint, end in plain.ends_cm.items()},
        orders=["xzy", *plain.orders],
        free=frozenset({0, 1}),
    )
    save_bvh(path, reference)
    motion = take_in(folder, tmp_path / "out")[0]
    assert motion.names == plain.names
    assert np.abs(forward_kinematics(motion)[0] - forward_kinematics(reference)[0][:, 1:]).max() < 1e-3
    assert np.allclose(encode(motion)[1][:, 3], encode(plain)[1][:, 3] + 0.7, atol=1e-4)


def test_lengths_that_differ_too_much_stop_the_take(folder, tmp_path, capsys):
    path = folder / "face_arkit" / f"{NAMES[1]}.npy"
    np.save(path, np.load(path)[:23])
    needles = [
        f"take of {NAMES[0]} and {NAMES[1]}: got frames body of {NAMES[0]} 30",
        f"face of {NAMES[1]} 23",
        "need lengths that differ by at most 6",
    ]
    outputs = [tmp_path / "out" / name for name in ("body.bvh", "face.npy", "voice.wav", "report.json")]
    refused(ingest.main, arguments(folder, tmp_path / "out"), capsys, *needles, outputs=outputs)
    assert take_in(folder, tmp_path / "out", max_trim_seconds=0.24)[0].num_frames == 23


@pytest.mark.parametrize(
    ("file", "content", "needle"),
    [
        (f"bvhs/{NAMES[0]}.bvh", b"none", "need a BVH file"),
        (f"face_arkit/{NAMES[1]}.npy", b"none", "not a readable .npy"),
        (f"wav/{NAMES[1]}.wav", b"none", "cannot be read as WAV"),
    ],
)
def test_an_unreadable_stream_stops_the_take(folder, tmp_path, capsys, file, content, needle):
    (folder / file).write_bytes(content)
    refused(
        ingest.main,
        arguments(folder, tmp_path / "out"),
        capsys,
        str(folder / file),
        needle,
        outputs=[tmp_path / "out/report.json"],
    )


def test_a_face_of_another_width_stops_the_take(folder, tmp_path, capsys):
    path = folder / "face_arkit" / f"{NAMES[0]}.npy"
    np.save(path, np.load(path)[:, :50])
    refused(
        ingest.main,
        arguments(folder, tmp_path / "out"),
        capsys,
        f"{path}: got float32 of shape (30, 50)",
        "(frames, 51)",
    )
