"""BVH files of any skeleton and any exporter to labels, by one command on the files alone."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import refused

from pipeline.annotate import actions, body_labels, contacts, facing
from pipeline.capture import body
from pipeline.files import read_tsv
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.formats.people import load_people
from pipeline.motion.joint_map import load_joint_map
from pipeline.motion.joints import joint_map_file
from pipeline.reading import read_json

RECORDING = Path(__file__).parents[2] / "recordings" / "cmu_01_03.bvh"
PART = (0, 160)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Text of a BVH of CMU's skeleton at 30 fps, as we write it, and its action labels."""
    motion = load_bvh(RECORDING).frames(slice(*PART))
    path = tmp_path_factory.mktemp("bvh") / "own.bvh"
    save_bvh(path, replace(motion, fps=30.0))
    out = path.with_suffix(".npy")
    actions.main([str(path), "--out", str(out)])
    return path.read_text(), np.load(out)


def on_rows(change):
    """The change of a text that is made in its rows of numbers only."""

    def changed(text):
        head, rows = re.split(r"(?<=Frame Time: )", text)
        time, _, rows = rows.partition("\n")
        return f"{head}{time}\n{change(rows)}"

    return changed


def positions_everywhere(text):
    """Six channels on every joint, as MotionBuilder and Rokoko write them.

    Each joint's offset comes before its turns.
    """
    head, _, rows = text.partition("MOTION")
    offsets = re.findall(r"(?:ROOT|JOINT)[^{]*\{\s*OFFSET (\S+ \S+ \S+)", head)
    head = re.sub(r"CHANNELS 3 ", "CHANNELS 6 Xposition Yposition Zposition ", head)
    lines = rows.strip("\n").split("\n")
    table = []
    for line in lines[2:]:
        cells = line.split()
        table.append(
            " ".join(
                cells[:6]
                + [
                    cell
                    for j, offset in enumerate(offsets[1:])
                    for cell in (offset, *cells[6 + 3 * j : 9 + 3 * j])
                ]
            )
        )
    return "\n".join([f"{head}MOTION", *lines[:2], *table]) + "\n"


EXPORTERS = {
    "CRLF (Windows)": lambda text: text.replace("\n", "\r\n"),
    "CR (old Macs)": lambda text: text.replace("\n", "\r"),
    "tabs between numbers (MotionBuilder)": on_rows(lambda rows: rows.replace(" ", "\t")),
    "two spaces and one behind each row (Blender)": on_rows(
        lambda rows: rows.replace(" ", "  ").replace("\n", " \n")
    ),
    "no line end at the end": lambda text: text.rstrip("\n"),
    "empty lines at the end": lambda text: text + "\n\n  \n",
    "exponents": on_rows(
        lambda rows: " ".join(
            f"{float(cell):.9e}" if cell != "\n" else cell for cell in re.findall(r"\S+|\n", rows)
        )
    ),
    "numbers without a leading zero": on_rows(lambda rows: re.sub(r"(?<![\d.])0\.", ".", rows)),
    "END SITE": lambda text: text.replace("End Site", "END SITE"),
    "End site": lambda text: text.replace("End Site", "End site"),
    "braces on the line of the name": lambda text: re.sub(r"\n\s*\{", " {", text),
    "spaces and tabs in the header (Xsens)": (
        lambda text: text.replace("Frames: ", "Frames:\t  ").replace("Frame Time: ", "Frame Time:\t")
    ),
    "no space in the header": (
        lambda text: text.replace("Frames: ", "Frames:").replace("Frame Time: ", "Frame Time:")
    ),
    "lower case": lambda text: re.sub(
        r"HIERARCHY|ROOT|JOINT|OFFSET|CHANNELS|MOTION|Frames|Frame Time", lambda m: m[0].lower(), text
    ),
    "byte order mark": lambda text: "\ufeff" + text,
    "rounded frame time (Blender)": lambda text: re.sub(r"Frame Time: \S+", "Frame Time: 0.033333", text),
    "positions on all joints (Rokoko)": positions_everywhere,
    "metres (Blender)": lambda text: scaled(text, 0.01),
    "millimetres": lambda text: scaled(text, 10),
    "prefix (Mixamo)": lambda text: re.sub(r"(ROOT|JOINT) ", r"\1 mixamorig:", text),
    "number of frames one too large": lambda text: re.sub(
        r"Frames: (\d+)", lambda m: f"Frames: {int(m[1]) + 1}", text
    ),
}


def scaled(text, factor):
    text = re.sub(
        r"(?<=OFFSET )(.*)", lambda m: " ".join(f"{float(cell) * factor:.8f}" for cell in m[0].split()), text
    )

    def rows(part):
        lines = [line.split() for line in part.strip("\n").split("\n")]
        return (
            "\n".join(
                " ".join([*(f"{float(cell) * factor:.8f}" for cell in line[:3]), *line[3:]]) for line in lines
            )
            + "\n"
        )

    return on_rows(rows)(text)


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_same_motion_has_the_same_labels_whoever_wrote_the_file(tmp_path, recording, name):
    text, labels = recording
    assert (changed := EXPORTERS[name](text)) != text
    (tmp_path / "a b.bvh").write_bytes(changed.encode())
    body_labels.main([str(tmp_path / "a b.bvh"), "--out", str(tmp_path / "out")])
    assert np.array_equal(np.load(tmp_path / "out" / "a b.actions.npy"), labels)


def test_a_root_without_positions_stays_in_its_place(tmp_path, recording):
    text, labels = recording
    head, _, rows = text.partition("MOTION")
    head = head.replace("CHANNELS 6 Xposition Yposition Zposition ", "CHANNELS 3 ", 1)
    first, second, *lines = rows.strip("\n").split("\n")
    (tmp_path / "a.bvh").write_text(
        "\n".join([f"{head}MOTION", first, second, *(line.split(" ", 3)[3] for line in lines)])
    )
    body_labels.main([str(tmp_path / "a.bvh"), "--out", str(tmp_path / "out")])
    found = np.load(tmp_path / "out" / "a.actions.npy")
    assert len(found) == len(labels) and not (found == actions.WALK).any()


@pytest.mark.parametrize("name", ["cmu", "smpl", "smpl_lr", "biped", "rigify", "xsens"])
def test_a_body_with_foreign_names_is_told_its_map_and_has_the_same_labels_by_it(
    tmp_path, recording, name, capsys
):
    text, labels = recording
    theirs = {mine: their for their, mine in load_joint_map(joint_map_file(name)).items()}
    text = re.sub(r"(?<=ROOT |OINT )(\S+)", lambda m: theirs.get(m[1], f"{m[1]}Other"), text)
    path, out = tmp_path / "a.bvh", tmp_path / "out"
    path.write_text(text)
    for main, argv in ((body_labels.main, ["--out", out]), (actions.main, ["--out", tmp_path / "a.npy"])):
        main([str(argument) for argument in (path, "--joint-map", name, *argv)])
    assert np.array_equal(np.load(out / "a.actions.npy"), labels) and np.array_equal(
        np.load(tmp_path / "a.npy"), labels
    )
    if name in ("smpl_lr", "rigify"):
        refused(
            actions.main,
            [path, "--out", tmp_path / "b.npy"],
            capsys,
            f"set --joint-map to {name}, whose names these are",
        )


def test_old_files_without_toes_get_them_at_the_end_sites(tmp_path, recording):
    """Ankles whose End Site is where the toes were: the labels are those of a body with toes.

    However they turn.
    """
    text, labels = recording
    motion = load_bvh(RECORDING).frames(slice(*PART))
    kept = [j for j, name in enumerate(motion.names) if "Toe" not in name]
    toes = {
        motion.parents[j]: motion.offsets_cm[j]
        for j, name in enumerate(motion.names)
        if name.endswith("ToeBase")
    }
    parents = np.array([kept.index(motion.parents[j]) if motion.parents[j] >= 0 else -1 for j in kept])
    ends = {kept.index(j): end for j, end in (motion.ends_cm | toes).items() if j in kept}
    bare = replace(
        motion,
        names=[motion.names[j] for j in kept],
        parents=parents,
        offsets_cm=motion.offsets_cm[kept],
        fps=30.0,
        ends_cm=ends,
        positions_cm=motion.positions_cm[:, kept],
        rotations=motion.rotations[:, kept],
        orders=[motion.orders[j] for j in kept],
    )
    save_bvh(tmp_path / "a.bvh", bare)
    body_labels.main([str(tmp_path / "a.bvh"), "--out", str(tmp_path / "out")])
    assert np.mean(np.load(tmp_path / "out" / "a.actions.npy") == labels) > 0.95


def two(tmp_path, recording, *, shorter=0):
    """Two bodies in one room, the second 80 cm beside the first."""
    (tmp_path / "a.bvh").write_text(recording[0])
    other = load_bvh(tmp_path / "a.bvh")
    positions = other.positions_cm.copy()
    positions[:, 0, 0] += 80
    save_bvh(
        tmp_path / "b.bvh",
        replace(other, positions_cm=positions).frames(slice(0, other.num_frames - shorter)),
    )
    return [tmp_path / "a.bvh", tmp_path / "b.bvh"]


def test_two_people_have_facing_and_one_is_told_what_needs_two(tmp_path, recording, capsys, caplog):
    paths, out = two(tmp_path, recording), tmp_path / "out"
    with caplog.at_level("INFO"):
        body_labels.main([str(argument) for argument in (*paths, "--out", out)])
        assert "a second person" not in caplog.text
        body_labels.main([str(argument) for argument in (paths[0], "--out", tmp_path / "alone")])
        assert "who faces whom, and touches of another, need the file of a second person" in caplog.text
    assert sorted(path.name for path in out.iterdir()) == [
        "a.actions.npy", "a.facing.npy", "b.actions.npy", "b.facing.npy", "contacts.json", "labels.tsv",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "alone").iterdir()) == [
        "a.actions.npy",
        "contacts.json",
        "labels.tsv",
    ]
    assert read_json(out / "contacts.json")["actors"] == ["a", "b"] and read_json(
        tmp_path / "alone" / "contacts.json"
    )["actors"] == ["a"]
    one = tmp_path / "f.npy"
    facing.main([str(argument) for argument in (*paths, "--out", one)])
    assert np.array_equal(np.load(one), np.load(out / "a.facing.npy"))
    refused(
        facing.main, [paths[0], "--out", one], capsys, "got 1 bodies, need those of two people in one room"
    )
    contacts.main([str(argument) for argument in (paths[0], "--out", tmp_path / "c.json")])
    assert read_json(tmp_path / "c.json") == read_json(tmp_path / "alone" / "contacts.json")


def test_the_table_says_what_the_arrays_say(tmp_path, recording):
    paths, out = two(tmp_path, recording), tmp_path / "out"
    body_labels.main([str(argument) for argument in (*paths, "--out", out)])
    rows = read_tsv(out / "labels.tsv")[1]
    for name in ("a", "b"):
        for label, names in (("action", actions.NAMES), ("facing", ("no", "yes"))):
            array = np.load(out / f"{name}.{'actions' if label == 'action' else label}.npy")
            told = np.concatenate([
                np.full(int(row["stop_frame"]) - int(row["start_frame"]), names.index(row["value"]), np.uint8)
                for row in rows if (row["body"], row["label"]) == (name, label)
            ])  # fmt: skip
            assert np.array_equal(told, array)
    assert all(abs(float(row["stop_seconds"]) - int(row["stop_frame"]) / 30) < 1e-3 for row in rows)


def test_what_no_two_bodies_of_a_room_can_be_is_refused(tmp_path, recording, capsys, caplog):
    out = tmp_path / "out"
    paths = two(tmp_path, recording, shorter=3)
    body_labels.main([str(argument) for argument in (*paths, "--out", out)])
    assert (
        "3 frames longer than the other body, which are left out" in caplog.text
        and len(np.load(out / "a.actions.npy")) == 157
    )
    paths = two(tmp_path, recording, shorter=30)
    refused(
        body_labels.main,
        [*paths, "--out", tmp_path / "x"],
        capsys,
        "has 160 frames at 30 fps and",
        "cut both to the same window",
    )
    refused(body_labels.main, [paths[0], paths[0], "--out", tmp_path / "x"], capsys, "is given twice")
    refused(
        body_labels.main,
        [*paths, paths[0], "--out", tmp_path / "x"],
        capsys,
        "got 3 bodies, need those of one or two",
    )
    refused(
        body_labels.main,
        [paths[0], "--out", tmp_path / "x", "--joint-map", "mixama"],
        capsys,
        "joint map mixama: no such file",
        "mixamo",
    )
    refused(
        body_labels.main, [paths[0], "--out", tmp_path / "x", "--up", "w"], capsys, "option --up: got 'w'"
    )
    (tmp_path / "odd.bvh").write_text(
        re.sub(r"(?<=ROOT |OINT )(\S+)", lambda m: f"J{m.start()}", recording[0])
    )
    refused(
        body_labels.main,
        [tmp_path / "odd.bvh", "--out", tmp_path / "x"],
        capsys,
        "its joints are not known; name them in --joint-map",
    )


def test_rows_of_nan_are_refused_with_the_command_that_bridges_them(tmp_path, recording, capsys):
    lines = recording[0].split("\n")
    lines[-40] = " ".join(["nan"] * len(lines[-40].split()))
    path, clean, out = tmp_path / "a.bvh", tmp_path / "clean.bvh", tmp_path / "out"
    path.write_text("\n".join(lines))
    line = refused(
        body_labels.main, [path, "--out", out], capsys, "1 frames with NaN", outputs=[out / "labels.tsv"]
    )
    assert "python -m pipeline.capture.body FILE --out CLEAN.bvh" in line
    body.main([str(path), "--out", str(clean)])
    body_labels.main([str(clean), "--out", str(out)])
    assert np.mean(np.load(out / "clean.actions.npy") == recording[1]) > 0.97


def test_a_body_alone_is_brought_to_30_fps_by_its_own_clock(tmp_path, capsys):
    out, report = tmp_path / "clean.bvh", tmp_path / "r.json"
    body.main([str(argument) for argument in (RECORDING, "--out", out, "--out-report", report)])
    raw, clean = load_people([RECORDING])[0], load_bvh(out)
    assert (
        clean.fps == 30
        and clean.num_frames == raw.num_frames
        and read_json(report)["performance"] == "cmu_01_03"
    )
    hips = clean.names.index("Hips")
    assert np.abs(clean.positions_cm[5:-5, hips] - raw.positions_cm[5:-5, hips]).max() < 1.0
    refused(
        body.main,
        [RECORDING, "--performance", "20260101_001_001", "--out", out],
        capsys,
        "need both for a body of a take, or neither",
    )
