import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import soundfile
from helpers.tiny_release import AUDIO_RATE, make_release

from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.files import sha256
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion.skeleton import keep_joints
from pipeline.release import check
from pipeline.release.check import inspect

FIRST, NAMES = "20231101_001", ("20231101_003_001", "20231101_005_001")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A made-up download of two takes, read only."""
    folder = tmp_path_factory.mktemp("release") / "interact"
    make_release(folder, num_takes=2, seconds=1.0)
    return folder


@pytest.fixture
def folder(good, tmp_path):
    """A copy to break."""
    return shutil.copytree(good, tmp_path / "interact")


def faults(folder, **options):
    return [str(finding) for finding in inspect(folder, ReleaseIn(**options)) if finding.kind]


def notes(folder, **options):
    return [str(finding) for finding in inspect(folder, ReleaseIn(**options)) if not finding.kind]


def sql(folder, name, statement):
    with closing(sqlite3.connect(folder / name)) as connection, connection:
        connection.execute(statement)


def edit(path, change):
    np.save(path, change(np.load(path)))


def with_nan(array):
    array[3, 5] = np.nan
    return array


def rewrite(path, change):
    motion = load_bvh(path)
    save_bvh(path, change(motion))


def set_header(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def longer(path, seconds):
    audio, rate = soundfile.read(path)
    soundfile.write(path, np.pad(audio, (0, round(seconds * rate))), rate, subtype="PCM_24")


A, B = NAMES
KINDS = {
    "missing body": (
        lambda f: (f / f"bvhs/{A}.bvh").unlink(),
        f"bvhs/{A}.bvh: missing: got no such file, need one for each performance",
    ),
    "missing voice": (lambda f: (f / f"wav/{A}.wav").unlink(), f"wav/{A}.wav: missing: got no such file"),
    "missing faces": (
        lambda f: [(f / folder / f"{A}.npy").unlink() for folder in ("face_arkit", "face_ict")],
        f"face_arkit/{A}.npy: missing: got no such file and none in face_ict",
    ),
    "one performance": (
        lambda f: [path.unlink() for path in f.glob(f"*/{A}.*")],
        f"bvhs/{B}.bvh: pair: take {FIRST}: got 1 performances (005), need 2",
    ),
    "voice too long": (
        lambda f: longer(f / f"wav/{A}.wav", 1.0),
        f"bvhs/{A}.bvh: length: take {FIRST}: got frames body of {A} 30",
    ),
    "face of another width": (
        lambda f: edit(f / f"face_ict/{A}.npy", lambda x: x[:, :53]),
        f"face_ict/{A}.npy: width: got float32 of shape (30, 53), need floats of shape (frames, 55)",
    ),
    "NaN in a face": (
        lambda f: edit(f / f"face_arkit/{A}.npy", with_nan),
        f"face_arkit/{A}.npy: nan: frame 3: got 1 frames with NaN, need none",
    ),
    "NaN in a body": (
        lambda f: (f / f"bvhs/{A}.bvh").write_text(
            (f / f"bvhs/{A}.bvh").read_text().rpartition(" ")[0] + " nan\n"
        ),
        f"bvhs/{A}.bvh: nan: got NaN in 1 frames, the first is 29, need none",
    ),
    "unreadable face": (
        lambda f: (f / f"face_arkit/{A}.npy").write_bytes(b"no array"),
        f"face_arkit/{A}.npy: unreadable: not a readable .npy",
    ),
    "unreadable body": (
        lambda f: (f / f"bvhs/{A}.bvh").write_bytes(b"no body"),
        f"bvhs/{A}.bvh: unreadable: got no HIERARCHY",
    ),
    "unreadable voice": (
        lambda f: (f / f"wav/{A}.wav").write_bytes(b"no voice"),
        f"wav/{A}.wav: unreadable: cannot be read as WAV",
    ),
    "no scenarios.db": (
        lambda f: (f / "scenarios.db").unlink(),
        "scenarios.db: table: got no file, need a SQLite file",
    ),
    "unreadable actors.db": (
        lambda f: (f / "actors.db").write_bytes(b"garbage" * 999),
        "actors.db: table: got no SQLite file",
    ),
    "no table": (
        lambda f: sql(f, "scenarios.db", "DROP TABLE emotions"),
        (
            "scenarios.db: table: not a readable SQLite file with a table emotions(id, name) (emotions is not"
            " there"
        ),
    ),
    "no column": (
        lambda f: sql(f, "actors.db", "ALTER TABLE actors RENAME COLUMN gender TO sex"),
        (
            "actors.db: table: not a readable SQLite file with a table actors(actor_id, gender) (no column"
            " gender, it has actor_id, sex)"
        ),
    ),
    "unknown scenario": (
        lambda f: sql(f, "scenarios.db", "DELETE FROM scenarios WHERE id = 1"),
        f"bvhs/{A}.bvh: scenario: take {FIRST}: got scenario 001, need one of scenarios.db",
    ),
    "unknown relationship": (
        lambda f: sql(f, "scenarios.db", "UPDATE scenarios SET relationship_id = 99 WHERE id = 2"),
        "scenarios.db: label: scenario 2: got relationship_id 99, need an id of relationships",
    ),
    "genders the wrong way": (
        lambda f: sql(
            f, "actors.db", "UPDATE sessions SET male_id = female_id, female_id = male_id WHERE rowid = 1"
        ),
        (
            "actors.db: gender: session 20231101: got male_id 5 (female) and female_id 3 (male), need each in"
            " its column"
        ),
    ),
    "another rate": (
        lambda f: set_header(f / f"bvhs/{A}.bvh", "Frame Time: 0.0333333333", "Frame Time: 0.0416666667"),
        (
            f"bvhs/{A}.bvh: rate: got 24 fps, need a whole multiple of 30; where the header is wrong set"
            " release_in.body_fps"
        ),
    ),
    "other joints": (
        lambda f: rewrite(
            f / f"bvhs/{A}.bvh", lambda m: keep_joints(m, [n for n in m.names if n != "LeftToeBase"])
        ),
        f"bvhs/{A}.bvh: joints: got 59 joints without LeftToeBase, need the 60 of the other files",
    ),
    "bones in metres": (
        lambda f: set_header(f / f"bvhs/{A}.bvh", *metres(f / f"bvhs/{A}.bvh")),
        f"bvhs/{A}.bvh: unit: got bones that are a human's in m, need cm",
    ),
    "a name that is none": (
        lambda f: shutil.copy(f / f"wav/{B}.wav", f / "wav/20231131_001_001.wav"),
        "wav/20231131_001_001.wav: name: got '20231131_001_001.wav', need <date>_<actor>_<scenario>.wav",
    ),
    "faces of two people": (
        lambda f: edit(f / f"face_arkit/{A}.npy", lambda x: 1 - x),
        f"face_arkit/{A}.npy: faces: got weights that differ from those of face_ict by 0.",
    ),
    "another wav rate": (
        lambda f: soundfile.write(
            f / f"wav/{A}.wav", soundfile.read(f / f"wav/{A}.wav")[0][::3], AUDIO_RATE // 3
        ),
        f"wav/{A}.wav: wav rate: got 16000 Hz, need 48000",
    ),
    "stereo": (
        lambda f: soundfile.write(f / f"wav/{A}.wav", np.zeros((AUDIO_RATE, 2)), AUDIO_RATE),
        f"wav/{A}.wav: channels: got 2 channels, need 1",
    ),
    "no head": (
        lambda f: (f / "face_ict_templates/003.obj").unlink(),
        "face_ict_templates/003.obj: missing: got no such file",
    ),
    "another head": (
        lambda f: (f / "face_ict_templates/003.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        "face_ict_templates/003.obj: width: got 3 vertices, need the 26719 of the ICT kit",
    ),
    "no sentence": (
        lambda f: (f / "lip_acc/lip_acc_sentences.txt").write_text("One.\nTwo.\n"),
        (
            "lip_acc/face_arkit/20231201_006_3.npy: sentence: got scenario 3, need a line of"
            " lip_acc_sentences.txt"
        ),
    ),
    "a lip performance without voice": (
        lambda f: (f / "lip_acc/wav/20231201_006_2.wav").unlink(),
        "lip_acc/wav/20231201_006_2.wav: missing: got no such file",
    ),
}


def metres(path):
    """The header's offsets, and the same in metres."""
    head = path.read_text().partition("MOTION")[0]
    lines = [
        f"OFFSET {' '.join(f'{float(x) / 100:.6f}' for x in line.split()[1:])}" if "OFFSET" in line else line
        for line in head.split("\n")
    ]
    return head, "\n".join(lines)


def test_a_good_folder_has_no_faults(good):
    assert faults(good) == []
    assert notes(good) == ["note: .: 4 performances in 2 takes; the whole public release has 482 in 241"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_is_one_line(folder, kind):
    change, line = KINDS[kind]
    change(folder)
    found = faults(folder)
    assert len(found) == 1 and found[0].startswith(line), found


def test_an_unknown_actor_is_named_wherever_he_stands(folder):
    sql(folder, "actors.db", "DELETE FROM actors WHERE actor_id = '003'")
    assert faults(folder) == [
        "actors.db: actor: session 20231101: got actor 3, need ids of the table actors",
        *(f"bvhs/20231101_003_{n}.bvh: actor: got actor 003, need one of actors.db" for n in ("001", "002")),
    ]


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DELETE FROM sessions", "got date 20231101, need a session of that date in actors.db"),
        (
            "UPDATE sessions SET male_id = '001'",
            "got actors 003 and 005, need those of the session (1 and 5)",
        ),
    ],
)
def test_a_take_without_its_session_is_a_fault(folder, statement, text):
    sql(folder, "actors.db", statement)
    assert faults(folder) == [
        f"bvhs/20231101_003_{n}.bvh: session: take 20231101_{n}: {text}" for n in ("001", "002")
    ]


def test_many_kinds_in_a_folder_of_the_releases_size_are_told_line_by_line(tmp_path, capsys):
    folder = tmp_path / "interact"
    assert (
        len(make_release(folder, num_takes=241, seconds=1.0)) == 241
        and len(list(folder.glob("bvhs/*.bvh"))) == 482
    )
    kinds = [
        "missing voice", "face of another width", "NaN in a body", "unreadable face", "no table",
        "unknown scenario", "genders the wrong way", "a name that is none", "no head", "no sentence",
        "a lip performance without voice", "unknown relationship",
    ]  # fmt: skip
    for kind in kinds:
        KINDS[kind][0](folder)
    with pytest.raises(SystemExit) as stop:
        check.main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert stop.value.code == 1 and lines[-1].startswith(
        f"{folder}: 12 faults (gender 1, label 1, missing 3, name 1, nan 1, "
    )
    told = [line for line in lines[:-1] if not line.startswith("note:")]
    assert len(told) == 12
    for kind in kinds:
        assert [line for line in told if line.startswith(KINDS[kind][1])], kind


def test_a_good_folder_ends_with_0(good, capsys):
    check.main([str(good)])
    assert capsys.readouterr().out.splitlines()[-1] == f"{good}: no faults"


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_a_folder_that_is_none_ends_with_2(tmp_path, capsys, path):
    with pytest.raises(SystemExit) as stop:
        check.main([str(tmp_path / path)])
    assert stop.value.code == 2 and "need a dataset in the public release's layout" in capsys.readouterr().err


def test_small_differences_of_length_are_trimmed_and_told(folder):
    longer(folder / f"wav/{A}.wav", 0.2)
    edit(folder / f"face_arkit/{B}.npy", lambda x: x[:-1])
    edit(folder / f"face_ict/{B}.npy", lambda x: x[:-1])
    assert len(faults(folder)) == 1, "0.2 s and a frame"
    assert faults(folder, max_trim_seconds=0.25) == []
    told = notes(folder, max_trim_seconds=0.25)[0]
    assert (
        told.startswith(f"note: bvhs/{A}.bvh: take {FIRST}: trimmed to 29 frames, body of {A} by 1")
        and f"wav of {A} by 7" in told
    )


def test_bodies_at_120_fps_are_told_and_pass(tmp_path):
    make_release(tmp_path / "interact", num_takes=1, seconds=1.0, fps=120)
    assert faults(tmp_path / "interact") == []
    assert f"note: bvhs/{A}.bvh: 120 fps: every 4th frame is read" in notes(tmp_path / "interact")


def test_a_header_that_lies_is_hinted_at_and_can_be_overruled(tmp_path):
    folder = tmp_path / "interact"
    make_release(folder, num_takes=1, seconds=1.0, fps=120)
    for name in NAMES:
        set_header(folder / f"bvhs/{name}.bvh", "Frame Time: 0.0083333333", "Frame Time: 0.0333333333")
    (line,) = faults(folder)
    assert line.startswith(f"bvhs/{A}.bvh: length: ") and "bodies last 4.00 times as long as the rest" in line
    assert faults(folder, body_fps=120) == []


def test_a_file_that_is_not_what_its_checksum_says(folder):
    path = folder / f"wav/{A}.wav"
    (folder / "SHA256SUMS").write_text(
        f"{sha256(path)}  wav/{A}.wav\n{sha256(path)}  wav/{B}.wav\n{sha256(path)}  wav/no.wav\nodd\n"
    )
    found = faults(folder)
    assert [line.split(": got")[0] for line in found] == [
        f"wav/{B}.wav: checksum",
        "wav/no.wav: checksum",
        "SHA256SUMS: checksum: line 4",
    ]


def test_reading_leaves_the_folder_as_it_is(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert faults(folder) == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)


def test_a_folder_without_any_stream_is_an_error(tmp_path):
    with pytest.raises(InputError, match="got no bvhs, face_arkit, face_ict, wav"):
        list(inspect(tmp_path, ReleaseIn()))
