"""Kinds of broken shoot input: each stops its stage with one line that names it.

Exit code 2, and nothing is written.

A kind breaks one thing of a copy of a sound shoot, always of actor 002 where an actor has it, and says which
stage is run on the copy and what the line must hold.
"""

import json
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from helpers.commands import refused, without_marks
from helpers.tiny_shoot import AUDIO_RATE

from pipeline.capture import blendshapes, body, dataset, separation, sync
from pipeline.formats import arkit
from pipeline.formats.timecode import format_timecode, parse_timecode
from pipeline.planning.study import open_study
from pipeline.reading import read_json

TAKE, NAME, OTHER = "20260101_001", "20260101_002_001", "20260101_001_001"


@dataclass(frozen=True)
class Copy:
    """A copy of the sound shoot, to spoil.

    Its folder, its sync JSON, and the flags that a kind adds to the command.
    """

    folder: Path
    sync: Path
    flags: list[str]

    def path(self, suffix: str, name: str = NAME) -> Path:
        """A raw stream of a performance."""
        return self.folder / TAKE / f"{name}{suffix}"

    @property
    def timecode(self) -> Path:
        return self.folder / TAKE / "timecode.json"

    @property
    def rig(self) -> Path:
        return self.folder / "rigs" / "002.npz"


@pytest.fixture
def copy(sound, tmp_path) -> Copy:
    folder = shutil.copytree(sound.folder, tmp_path / "shoot")
    return Copy(folder, without_marks(sound.sync, tmp_path / f"{TAKE}.json"), [])


# what breaks a text file


def swap(path: Path, old: str, new: str, count: int = 1) -> None:
    """Replace a text that must be there."""
    text = path.read_text()
    assert old in text, f"{path} has no {old!r} to spoil"
    path.write_text(text.replace(old, new, count))


def edit_json(path: Path, change) -> None:
    value = read_json(path)
    change(value)
    path.write_text(json.dumps(value))


def edit_rows(path: Path, change) -> None:
    """Change the motion rows of a BVH: a list of lines."""
    head, rows = path.read_text().split("Frame Time: ", 1)
    frame_time, *lines = rows.splitlines()
    change(lines)
    path.write_text(f"{head}Frame Time: {frame_time}\n" + "\n".join(lines) + "\n")


def in_rows(first: int, stop: int, word: str, column: int = 10):
    """A change of rows that puts a word into some of them."""

    def change(lines: list[str]) -> None:
        for i in range(first, stop):
            words = lines[i].split()
            words[column] = word
            lines[i] = " ".join(words)

    return change


def edit_mesh(copy: Copy, change) -> None:
    with h5py.File(copy.path(".mesh.h5"), "r+") as f:
        change(f)


def shifted(codes, seconds: float) -> list[bytes]:
    """Timecodes at 60 that are later."""
    return [
        format_timecode(parse_timecode(code.decode(), 60) + seconds, 60, digits=6).encode() for code in codes
    ]


def replace_data(f: h5py.File, name: str, value) -> None:
    del f[name]
    f[name] = value


def edit_rig(copy: Copy, change) -> None:
    with np.load(copy.rig) as z:
        arrays = {name: z[name] for name in z.files}
    change(arrays)
    np.savez(copy.rig, **arrays)


def damaged(path: Path, first: float, stop: float) -> None:
    """Overwrite a part of a file with noise."""
    content = bytearray(path.read_bytes())
    a, b = int(first * len(content)), int(stop * len(content))
    content[a:b] = np.random.default_rng(0).bytes(b - a)
    path.write_bytes(content)


def compressed_and_damaged(copy: Copy) -> None:
    """Vertices in compressed chunks, one of which is noise."""
    with h5py.File(copy.path(".mesh.h5"), "r+") as f:
        vertices = f["vertices"][()]
        del f["vertices"]
        f.create_dataset("vertices", data=vertices, chunks=(10, *vertices.shape[1:]), compression="gzip")
        info = f["vertices"].id.get_chunk_info(5)
    with open(copy.path(".mesh.h5"), "r+b") as f:
        f.seek(info.byte_offset)
        f.write(np.random.default_rng(0).bytes(info.size))


def live_link(copy: Copy, change) -> None:
    """A Live Link Face recording in place of the mesh, its text changed."""
    with h5py.File(copy.path(".mesh.h5")) as f:
        codes = [code.decode() for code in f["timecode"][()]]
    header = ["Timecode", "BlendShapeCount", *arkit.NAMES_52]
    lines = [",".join(header), *(",".join([code, "61", *["0.5"] * 52]) for code in codes)]
    copy.path(".csv").write_text(change("\n".join(lines) + "\n"))
    copy.path(".mesh.h5").unlink()


def array_face(copy: Copy, vertices, about: dict) -> None:
    """A NumPy array in place of the mesh."""
    np.save(copy.path(".npy"), vertices)
    copy.path(".stream.json").write_text(json.dumps(about))
    copy.path(".mesh.h5").unlink()


def obj_face(copy: Copy) -> None:
    """OBJ files in place of the mesh, the third of which lost its last vertex."""
    folder = copy.path(".obj")
    folder.mkdir()
    with h5py.File(copy.path(".mesh.h5")) as f:
        for i, frame in enumerate(f["vertices"][()]):
            kept = frame[:-1] if i == 60 else frame
            (folder / f"{i:05d}.obj").write_text("".join("v {} {} {}\n".format(*v) for v in kept))
        (folder / "timecode.txt").write_text("\n".join(code.decode() for code in f["timecode"][()]))
    (folder / "stream.json").write_text('{"units": "cm", "timecode_rate": 60}')
    copy.path(".mesh.h5").unlink()


def edit_wav(copy: Copy, change=lambda x: x, *, rate: int = AUDIO_RATE, subtype: str = "PCM_24") -> None:
    """Write the voice again with its bext chunk, its samples (S,) changed."""
    path = copy.path(".wav")
    content = path.read_bytes()
    x, _ = soundfile.read(path)
    at = content.index(b"bext")
    bext = content[at : at + 8 + struct.unpack("<I", content[at + 4 : at + 8])[0]]
    soundfile.write(path, change(x), rate, subtype=subtype)
    body = path.read_bytes()[12:] + bext
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)


def put(start: int, value):
    def change(x: np.ndarray) -> np.ndarray:
        x[start] = value
        return x

    return change


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


STAGES = {
    "sync": sync.main,
    "body": body.main,
    "blendshapes": blendshapes.main,
    "separation": separation.main,
    "dataset": dataset.main,
}


def command(stage: str, copy: Copy, out: Path) -> tuple[list, list[Path]]:
    """Arguments of a stage on the copy, and the files that it would write."""
    names = (OTHER, NAME)
    face = next(
        (copy.path(s) for s in (".mesh.h5", ".csv", ".npy", ".obj") if copy.path(s).exists()),
        copy.path(".mesh.h5"),
    )
    report = ["--out-report", out / f"{NAME}.json"]
    one = ["--sync", copy.sync, "--performance", NAME]
    if stage == "sync":
        files = [
            flag
            for kind in ("bvh", "wav")
            for flag in (f"--{kind}", *(copy.path(f".{kind}", name) for name in names))
        ]
        faces = ["--face", copy.path(".mesh.h5", OTHER), face]
        return [
            "--timecode",
            copy.timecode,
            "--actors",
            "001",
            "002",
            *files,
            *faces,
            "--out",
            out / "sync.json",
        ], [out / "sync.json"]
    if stage == "body":
        return ["--bvh", copy.path(".bvh"), *one, "--out", out / "x.bvh", *report], [out / "x.bvh", report[1]]
    if stage == "blendshapes":
        return ["--face", face, "--rig", copy.rig, *one, "--out", out / "x.npy", *report], [
            out / "x.npy",
            report[1],
        ]
    if stage == "separation":
        return [
            "--wav",
            *(copy.path(".wav", name) for name in names),
            *one,
            "--out",
            out / "x.wav",
            *report,
        ], [out / "x.wav", report[1]]
    return ["--shoot", copy.folder, "--sync", copy.sync.parent, "--out", out], [out / "dataset.json"]


def first_rows(f, rows: int) -> None:
    for name in ("vertices", "timecode"):
        replace_data(f, name, f[name][:rows])


KINDS = {
    # body
    "bvh: missing": ("sync", lambda c: c.path(".bvh").unlink(), [f"{NAME}.bvh: no such file"]),
    "bvh: a folder": (
        "sync",
        lambda c: (c.path(".bvh").unlink(), c.path(".bvh").mkdir()),
        [f"{NAME}.bvh: is a folder, need a file"],
    ),
    "bvh: a folder after sync": (
        "body",
        lambda c: (c.path(".bvh").unlink(), c.path(".bvh").mkdir()),
        [f"{NAME}.bvh: is a folder, need a file"],
    ),
    "bvh: another kind of file": (
        "sync",
        lambda c: c.path(".bvh").write_bytes(b"Kaydara FBX Binary  \0"),
        [f"{NAME}.bvh", "need a BVH file"],
    ),
    "bvh: no MOTION": (
        "sync",
        lambda c: swap(c.path(".bvh"), "MOTION", "NOTION"),
        [f"{NAME}.bvh", "no HIERARCHY and MOTION"],
    ),
    "bvh: frame time 0": (
        "sync",
        lambda c: swap(c.path(".bvh"), "Frame Time: 0.008333", "Frame Time: 0.000000"),
        ["frame time", "correct the header"],
    ),
    "bvh: frame time in words": (
        "sync",
        lambda c: swap(c.path(".bvh"), "Frame Time: ", "Frame Time: about "),
        ["Frame Time: about", "need 'Frame Time: <number>'"],
    ),
    "bvh: brace missing": (
        "body",
        lambda c: swap(c.path(".bvh"), "}", ""),
        [f"{NAME}.bvh", "export the file again"],
    ),
    "bvh: unknown channel": (
        "body",
        lambda c: swap(c.path(".bvh"), "Zrotation", "Wrotation"),
        [f"{NAME}.bvh, line ", "CHANNELS"],
    ),
    "bvh: joint twice": (
        "body",
        lambda c: swap(c.path(".bvh"), "JOINT RightArm", "JOINT LeftArm"),
        ["joint names stand twice: LeftArm"],
    ),
    "bvh: row too short": (
        "body",
        lambda c: edit_rows(c.path(".bvh"), lambda r: r.__setitem__(7, r[7].rsplit(" ", 2)[0])),
        [f"{NAME}.bvh, line ", "the sum of CHANNELS"],
    ),
    "bvh: word in a row": (
        "body",
        lambda c: edit_rows(c.path(".bvh"), in_rows(7, 8, "1,5")),
        [f"{NAME}.bvh, line ", "got '1,5', need a number"],
    ),
    "bvh: rows missing": (
        "body",
        lambda c: edit_rows(c.path(".bvh"), lambda r: r.__delitem__(slice(300, None))),
        [f"{NAME}.bvh", "'Frames: 420' but 300 rows"],
    ),
    "bvh: NaN for too long": (
        "body",
        lambda c: edit_rows(c.path(".bvh"), in_rows(100, 140, "nan")),
        [TAKE, "actor 002", f"{NAME}.bvh", "gaps of at most 0.1 s"],
    ),
    "bvh: NaN throughout": (
        "body",
        lambda c: edit_rows(c.path(".bvh"), in_rows(0, 420, "nan")),
        [TAKE, "actor 002", f"{NAME}.bvh"],
    ),
    "bvh: no hips": (
        "body",
        lambda c: swap(c.path(".bvh"), "ROOT Hips", "ROOT Torso"),
        [TAKE, "actor 002", "no hips among the joints Torso"],
    ),
    "bvh: wanted joint missing": (
        "body",
        lambda c: c.flags.extend(["--joints", '["Hips", "Tail"]']),
        [TAKE, "actor 002", "Tail"],
    ),
    # face
    "face: missing": ("sync", lambda c: c.path(".mesh.h5").unlink(), [f"{NAME}.mesh.h5: no such file"]),
    "face: damaged": (
        "sync",
        lambda c: damaged(c.path(".mesh.h5"), 0, 0.3),
        [f"{NAME}.mesh.h5: not a readable HDF5"],
    ),
    "face: cut off": (
        "sync",
        lambda c: cut(c.path(".mesh.h5"), 0.6),
        [f"{NAME}.mesh.h5: not a readable HDF5"],
    ),
    "face: damaged vertices": (
        "blendshapes",
        compressed_and_damaged,
        [f"{NAME}.mesh.h5, frames ", "not a readable mesh"],
    ),
    "face: no vertices": (
        "sync",
        lambda c: edit_mesh(c, lambda f: f.__delitem__("vertices")),
        [f"{NAME}.mesh.h5: no dataset 'vertices'"],
    ),
    "face: vertices flat": (
        "sync",
        lambda c: edit_mesh(c, lambda f: replace_data(f, "vertices", np.zeros((104, 360)))),
        ["vertices (104, 360)", "need (N,V,3)"],
    ),
    "face: a timecode missing": (
        "sync",
        lambda c: edit_mesh(c, lambda f: replace_data(f, "timecode", f["timecode"][:-1])),
        ["and 103 timecodes"],
    ),
    "face: timecode goes back": (
        "sync",
        lambda c: edit_mesh(c, lambda f: f["timecode"].__setitem__(50, f["timecode"][20])),
        [f"{NAME}.mesh.h5, frame 50", "does not come after"],
    ),
    "face: timecode in words": (
        "sync",
        lambda c: edit_mesh(c, lambda f: f["timecode"].__setitem__(9, b"half past")),
        [f"{NAME}.mesh.h5: timecode 'half past'"],
    ),
    "face: no timecode rate": (
        "sync",
        lambda c: edit_mesh(c, lambda f: f.attrs.__delitem__("timecode_rate")),
        ["no attribute timecode_rate"],
    ),
    "face: timecode rate too low": (
        "sync",
        lambda c: edit_mesh(c, lambda f: f.attrs.__setitem__("timecode_rate", 24)),
        [f"{NAME}.mesh.h5: timecode", "out of range at 24 fps"],
    ),
    "face: timecode rate in words": (
        "sync",
        lambda c: edit_mesh(c, lambda f: f.attrs.__setitem__("timecode_rate", "sixty")),
        ["timecode_rate 'sixty'", "frames per second"],
    ),
    "face: units": (
        "sync",
        lambda c: edit_mesh(c, lambda f: f.attrs.__setitem__("units", "inch")),
        [f"{NAME}.mesh.h5: units 'inch', need one of cm, m, mm"],
    ),
    "face: one frame": (
        "sync",
        lambda c: edit_mesh(c, lambda f: first_rows(f, 1)),
        [f"{NAME}.mesh.h5: 1 frames, need at least 2"],
    ),
    "face: too short": (
        "sync",
        lambda c: edit_mesh(c, lambda f: first_rows(f, 20)),
        [TAKE, "streams do not overlap", "002 face ends"],
    ),
    "face: shorter than at sync": (
        "blendshapes",
        lambda c: edit_mesh(c, lambda f: first_rows(f, 60)),
        [TAKE, "actor 002", f"{NAME}.mesh.h5"],
    ),
    "face: another topology": (
        "blendshapes",
        lambda c: edit_mesh(c, lambda f: replace_data(f, "vertices", f["vertices"][:, :90])),
        ["90 vertices a frame", "002.npz has 120"],
    ),
    "face: NaN for too long": (
        "blendshapes",
        lambda c: edit_mesh(c, lambda f: f["vertices"].__setitem__(slice(50, 60), np.nan)),
        [TAKE, "actor 002", f"{NAME}.mesh.h5", "gaps of at most 0.1 s"],
    ),
    "face: NaN throughout": (
        "blendshapes",
        lambda c: edit_mesh(c, lambda f: f["vertices"].__setitem__(slice(None), np.nan)),
        [TAKE, "actor 002", f"{NAME}.mesh.h5"],
    ),
    "face csv: column missing": (
        "blendshapes",
        lambda c: live_link(c, lambda t: t.replace("jawOpen,", "jaw,")),
        [f"{NAME}.csv: 1 of the 51", "jawOpen"],
    ),
    "face csv: another table": (
        "sync",
        lambda c: live_link(c, lambda t: t.replace("Timecode", "Time")),
        [f"{NAME}.csv: first column is not Timecode"],
    ),
    "face csv: word for a weight": (
        "blendshapes",
        lambda c: live_link(c, lambda t: t.replace("61,0.5", "61,open", 1)),
        [f"{NAME}.csv, line 2: got 'open' for eyeBlinkLeft"],
    ),
    "face csv: row too long": (
        "sync",
        lambda c: live_link(c, lambda t: t.replace("61,0.5", "61,0,5", 1)),
        [f"{NAME}.csv, line 2: got 55 cells, need 54"],
    ),
    "face: clock set while it recorded": (
        "sync",
        lambda c: edit_mesh(
            c, lambda f: f["timecode"].__setitem__(slice(60, None), shifted(f["timecode"][60:], 0.213))
        ),
        [TAKE, "actor 002", f"{NAME}.mesh.h5: timecode goes on by 7.", "at frame 60", "its clock was set"],
    ),
    "face: twice its rate, without timecode": (
        "sync",
        lambda c: (
            edit_mesh(c, lambda f: (f.__delitem__("timecode"), f.attrs.__setitem__("rate", 60.0))),
            edit_json(c.timecode, lambda v: v.update(face={"002": {"start": "10:00:00:05"}})),
        ),
        [
            TAKE,
            "actor 002",
            "timecode.json says 60 fps, at which the",
            "at 30 fps it would",
            "correct the rate",
        ],
    ),
    "face csv: counted at 30": (
        "sync",
        lambda c: live_link(
            c, lambda t: re.sub(r":(\d\d)\.(\d+),61", lambda m: f":{float(f'{m[1]}.{m[2]}') / 2:09.6f},61", t)
        ),
        [TAKE, "actor 002", f"{NAME}.csv would have lost", "check timecode_rate"],
    ),
    "face: two timecode rates": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v.update(face={"002": {"timecode_rate": 30}})),
        [f"{NAME}.mesh.h5: its timecode_rate is 60, timecode.json says 30"],
    ),
    "face csv: header only": (
        "sync",
        lambda c: live_link(c, lambda t: t.split("\n")[0]),
        [f"{NAME}.csv: 0 frames, need at least 2"],
    ),
    "face csv: UTF-16": (
        "sync",
        lambda c: (live_link(c, str), c.path(".csv").write_text("Timecode", "utf-16")),
        [f"{NAME}.csv: not a readable CSV in UTF-8"],
    ),
    "face npy: no description": (
        "sync",
        lambda c: (array_face(c, np.zeros((104, 120, 3)), {}), c.path(".stream.json").unlink()),
        [f"{NAME}.stream.json: no such file", "units"],
    ),
    "face npy: no rate": (
        "sync",
        lambda c: array_face(c, np.zeros((104, 120, 3)), {"units": "cm"}),
        [f"{NAME}.stream.json: no rate, and no timecode file"],
    ),
    "face npy: whole numbers": (
        "sync",
        lambda c: array_face(c, np.zeros((104, 120, 3), int), {"units": "cm", "rate": 30}),
        [f"{NAME}.npy: int64 (104, 120, 3)"],
    ),
    "face npy: no timecode": (
        "sync",
        lambda c: array_face(c, np.zeros((104, 120, 3)), {"units": "cm", "rate": 30}),
        [TAKE, "actor 002", f"{NAME}.npy has no timecode"],
    ),
    "face obj: vertex missing": (
        "blendshapes",
        obj_face,
        ["00060.obj: 119 vertices, the first file has 120"],
    ),
    # voice
    "wav: missing": (
        "sync",
        lambda c: c.path(".wav").unlink(),
        [TAKE, "actor 002", f"{NAME}.wav: no such file"],
    ),
    "wav: another kind of file": (
        "sync",
        lambda c: c.path(".wav").write_bytes(b"ID3\4 an MP3 file, named as if it were not"),
        ["actor 002", f"{NAME}.wav: not a readable WAV"],
    ),
    "wav: empty": (
        "sync",
        lambda c: c.path(".wav").write_bytes(b""),
        ["actor 002", f"{NAME}.wav: not a readable WAV"],
    ),
    "wav: no start": (
        "sync",
        lambda c: soundfile.write(c.path(".wav"), np.zeros(200_000), AUDIO_RATE),
        [TAKE, "actor 002", f"{NAME}.wav has no timecode"],
    ),
    "wav: two channels": (
        "sync",
        lambda c: edit_wav(c, lambda x: np.stack([x, x], 1)),
        ["actor 002", f"{NAME}.wav: 2 channels, need one", "timecode.json"],
    ),
    "wav: unknown coding": (
        "sync",
        lambda c: edit_wav(c, subtype="ULAW"),
        ["actor 002", f"{NAME}.wav: format 7", "export it as 24-bit WAV"],
    ),
    "wav: a header of 44.1 kHz on samples at 48": (
        "sync",
        lambda c: edit_wav(c, rate=44_100),
        [
            TAKE,
            "actor 002",
            f"the header of {NAME}.wav says 44100 Hz",
            "at 48000 Hz both agree",
            "correct the rate",
        ],
    ),
    "wav: a header of 96 kHz on samples at 48": (
        "sync",
        lambda c: edit_wav(c, rate=96_000),
        [
            TAKE,
            "actor 002",
            f"the header of {NAME}.wav says 96000 Hz",
            "at 48000 Hz both agree",
            "correct the rate",
        ],
    ),
    "wav: silent": (
        "separation",
        lambda c: edit_wav(c, lambda x: 0 * x),
        [
            TAKE,
            "actor 002",
            f"{NAME}.wav is silent in the take's window",
            "all samples are zero",
            "exclude the take",
        ],
    ),
    "wav: clipped": (
        "separation",
        lambda c: edit_wav(c, lambda x: np.clip(30 * x, -1, 1)),
        [
            TAKE,
            "actor 002",
            f"{NAME}.wav is clipped in ",
            "s into the take, need at most 2 %",
            "raise --max-clipped-share",
        ],
    ),
    "wav: cut off": (
        "sync",
        lambda c: cut(c.path(".wav"), 0.2),
        [TAKE, "streams do not overlap", "002 audio ends"],
    ),
    "wav: cut off after sync": (
        "separation",
        lambda c: cut(c.path(".wav"), 0.5),
        [f"{NAME}.wav: the recording is", "sync the take again"],
    ),
    "wav: NaN": (
        "separation",
        lambda c: edit_wav(c, put(96_000, np.nan), subtype="FLOAT"),
        [f"{NAME}.wav, second 2.0000 (sample 96000)", "not finite"],
    ),
    "wav: integers as floats": (
        "separation",
        lambda c: edit_wav(c, lambda x: x * 2**15, subtype="FLOAT"),
        [f"{NAME}.wav, second ", "full scale is 1"],
    ),
    "wav: microphones exchanged": (
        "separation",
        lambda c: c.flags.extend(["--wav", c.path(".wav"), c.path(".wav", OTHER)]),
        [TAKE, "is the microphone of actor 002, need that of 001"],
    ),
    # timecode.json
    "timecode: missing": ("sync", lambda c: c.timecode.unlink(), [TAKE, "no timecode.json"]),
    "timecode: broken": ("sync", lambda c: cut(c.timecode, 0.5), ["timecode.json: not a readable JSON"]),
    "timecode: no actor": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"].pop("002")),
        [TAKE, "actor 002", "timecode.json has no start"],
    ),
    "timecode: bad rate": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"]["002"].update(rate=-120)),
        [TAKE, "actor 002", "rate -120"],
    ),
    "timecode: rate of another take": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"]["002"].update(rate=30, start="10:00:00:08")),
        ["actor 002", "30 fps", "correct the rate"],
    ),
    "timecode: bad time": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"]["002"].update(start="10:00:61:00")),
        ["actor 002", "timecode '10:00:61:00'", "out of range"],
    ),
    "timecode: skipped by drop-frame": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"]["002"].update(start="10:01:00;00", rate=119.88)),
        ["actor 002", "drop-frame counting skips this frame"],
    ),
    "timecode: drop-frame at 120": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"]["002"].update(start="10:00:00;00")),
        ["actor 002", "drop-frame counting at 120 fps"],
    ),
    "timecode: another hour": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"]["002"].update(start="11:00:00:00")),
        [TAKE, "streams do not overlap", "002 body starts"],
    ),
    "timecode: misspelt key": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v["body"]["002"].update(timecode_rat=30)),
        [TAKE, "actor 002: unknown key 'timecode_rat' under body", "did you mean 'timecode_rate'?"],
    ),
    "timecode: rate of a voice": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v.update(audio={"002": {"rate": 48_000}})),
        ["actor 002: unknown key 'rate' under audio", "remove it"],
    ),
    "timecode: LTC without a name": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v.update(audio={"002": {"ltc": ""}})),
        ["actor 002", "ltc ''", "name of a WAV beside it"],
    ),
    "timecode: LTC in another folder": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v.update(audio={"002": {"ltc": "../ltc.wav"}})),
        ["actor 002", "ltc '../ltc.wav'"],
    ),
    "timecode: LTC that is missing": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v.update(audio={"002": {"ltc": "ltc.wav"}})),
        ["actor 002", "ltc.wav: no such file, but audio.ltc"],
    ),
    "timecode: LTC in the voice's channel": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v.update(audio={"002": {"channel": 1, "ltc": 1}})),
        ["actor 002", "channel 1 of timecode.json is voice and ltc"],
    ),
    "timecode: channel in words": (
        "sync",
        lambda c: edit_json(c.timecode, lambda v: v.update(audio={"002": {"channel": "lav"}})),
        ["actor 002", f"{NAME}.wav: got channel 'lav'"],
    ),
    # tables
    "takes.tsv: missing": (
        "dataset",
        lambda c: (c.folder / "takes.tsv").unlink(),
        ["takes.tsv: no such file"],
    ),
    "takes.tsv: misspelt column": (
        "dataset",
        lambda c: swap(c.folder / "takes.tsv", "emotion", "emotions"),
        ["takes.tsv", "'emotions'", "emotion"],
    ),
    "takes.tsv: unknown actor": (
        "dataset",
        lambda c: swap(c.folder / "takes.tsv", "\t002\t", "\t007\t"),
        ["takes.tsv, row 2", "007"],
    ),
    "takes.tsv: date in another form": (
        "dataset",
        lambda c: swap(c.folder / "takes.tsv", "\t20260101\t", "\t2026-01-01\t"),
        ["takes.tsv, row 2", "2026-01-01"],
    ),
    "actors.tsv: missing": (
        "dataset",
        lambda c: (c.folder / "actors.tsv").unlink(),
        ["actors.tsv: no such file"],
    ),
    "actors.tsv: actor twice": (
        "dataset",
        lambda c: swap(c.folder / "actors.tsv", "002", "001"),
        ["actors.tsv, row 3", "001 stands twice"],
    ),
    # rig
    "rig: missing": ("blendshapes", lambda c: c.rig.unlink(), ["002.npz: no such file"]),
    "rig: shape missing": (
        "blendshapes",
        lambda c: edit_rig(c, lambda a: a.update(names=np.where(a["names"] == "jawOpen", "jaw", a["names"]))),
        ["002.npz: 1 of the 51 ARKit shapes", "jawOpen"],
    ),
    "rig: wrong size": (
        "blendshapes",
        lambda c: edit_rig(c, lambda a: a.update(deltas=a["deltas"][:, :90])),
        ["002.npz", "(51, 90, 3)"],
    ),
    "rig: NaN": (
        "blendshapes",
        lambda c: edit_rig(c, lambda a: a["deltas"].__setitem__((3, 4), np.nan)),
        ["002.npz: NaN"],
    ),
    "rig: not an archive": (
        "blendshapes",
        lambda c: c.rig.write_bytes(b"rig"),
        ["002.npz: not a readable .npz"],
    ),
    # the sync JSON
    "sync: missing": ("body", lambda c: c.sync.unlink(), [f"{TAKE}.json: no such file"]),
    "sync: broken": ("blendshapes", lambda c: cut(c.sync, 0.5), [f"{TAKE}.json: not a readable JSON"]),
    "sync: of another take": (
        "body",
        lambda c: edit_json(c.sync, lambda v: [p.update(actor=f"1{p['actor']}") for p in v["performances"]]),
        ["actor 002", "actors are 1001, 1002"],
    ),
    "sync: of another take, face": (
        "blendshapes",
        lambda c: edit_json(c.sync, lambda v: [p.update(actor=f"1{p['actor']}") for p in v["performances"]]),
        ["actor 002", "actors are 1001, 1002"],
    ),
    "sync: of another take, voice": (
        "separation",
        lambda c: edit_json(c.sync, lambda v: [p.update(actor=f"1{p['actor']}") for p in v["performances"]]),
        ["need performances of actors 1001, 1002"],
    ),
    # flags
    "flag: no number": (
        "sync",
        lambda c: c.flags.extend(["--min-seconds", "short"]),
        ["option --min-seconds: got 'short'"],
    ),
    "flag: out of range": (
        "blendshapes",
        lambda c: c.flags.extend(["--max-gap-seconds", "-1"]),
        ["option --max-gap-seconds: got -1"],
    ),
    "flag: unknown method": (
        "separation",
        lambda c: c.flags.extend(["--method", "ai"]),
        ["option --method: got 'ai'"],
    ),
    "flag: unknown unit": (
        "body",
        lambda c: c.flags.extend(["--unit", "feet"]),
        ["option --unit: got 'feet'"],
    ),
    "flag: no performance": (
        "body",
        lambda c: c.flags.extend(["--performance", "002"]),
        ["performance '002'", "need <date>_<actor>_<scenario>"],
    ),
}


REPLACED = {"body": ".bvh", "blendshapes": ".mesh.h5", "separation": ".wav"}


@pytest.mark.parametrize("stage", REPLACED)
def test_a_raw_stream_replaced_after_sync_is_refused(sound, copy, tmp_path, capsys, stage):
    """The start and the rate of one recording say nothing of another.

    A copy of the same bytes is the same.
    """
    shutil.copy(sound.sync, copy.sync)
    path = copy.path(REPLACED[stage])
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    arguments, outputs = command(stage, copy, tmp_path / "out")
    STAGES[stage]([str(argument) for argument in arguments])
    assert all(path.exists() for path in outputs)
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    for other in (copy.path(REPLACED[stage], OTHER).read_bytes(), changed):
        path.write_bytes(other)
        arguments, outputs = command(stage, copy, tmp_path / "other")
        refused(
            STAGES[stage],
            arguments,
            capsys,
            path.name,
            "is not as it was when the take was synced; run sync again",
            outputs=outputs,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_stops_its_stage_with_one_line(copy, tmp_path, capsys, kind):
    stage, spoil, needles = KINDS[kind]
    spoil(copy)
    arguments, outputs = command(stage, copy, tmp_path / "out")
    refused(STAGES[stage], [*arguments, *copy.flags], capsys, *needles, outputs=outputs)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()], "something was written"


@pytest.mark.parametrize(
    "stage", [name for name in STAGES if name != "dataset"]
)  # which joins what the others wrote
def test_the_sound_shoot_passes(copy, tmp_path, stage):
    """What the kinds start from is accepted: it is their fault alone that stops a stage."""
    arguments, outputs = command(stage, copy, tmp_path / "out")
    STAGES[stage]([str(argument) for argument in arguments])
    assert all(path.exists() for path in outputs)


@pytest.mark.parametrize(
    ("values", "needles"),
    [
        ({"blendshape": {}}, ["config key blendshape: unknown; did you mean blendshapes?"]),
        ({"sync": {"min_second": 1}}, ["config key sync.min_second: unknown; did you mean min_seconds?"]),
        ({"sync": {"min_seconds": "long"}}, ["config key sync.min_seconds: got 'long'"]),
        ({"fps": 25}, ["config key fps: got 25"]),
        ({"body": {"unit": "feet"}}, ["config key body.unit: got 'feet'"]),
        ({"shoot": "a", "dataset": "b"}, ["both shoot and dataset are set"]),
        ({"shoot": "nowhere"}, ["nowhere", "no such file"]),
        ({"dataset": "nowhere"}, ["dataset nowhere: no such folder"]),
    ],
)
def test_bad_config_stops_the_workflow_with_one_line(tmp_path, monkeypatch, capsys, values, needles):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        open_study(values)
    lines = capsys.readouterr().err.splitlines()
    assert (
        stop.value.code == 2
        and len(lines) == 1
        and lines[0].startswith("error: ")
        and all(needle in lines[0] for needle in needles)
    )
    assert not list(tmp_path.iterdir())
