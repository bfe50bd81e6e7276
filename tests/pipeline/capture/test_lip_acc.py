import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.tiny_shoot import AUDIO_RATE, make_lip_acc

from pipeline.capture import blendshapes, body, lip_acc, separation, sync
from pipeline.config import Blendshapes, Separation, Sync
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot
from pipeline.figures.timeline import STREAMS, draw_streams
from pipeline.files import write_json, write_tsv
from pipeline.formats.sync_file import read_sync, stream_of
from pipeline.formats.tables import ACTOR_COLUMNS
from pipeline.formats.takes import shoot_lip_acc
from pipeline.reading import read_json
from pipeline.report import sync as report_sync

FIRST, SECOND = "20260102_003_1", "20260102_003_3"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A shoot with nothing but a lip-accurate set, read only: its folder, and the truth by performance."""
    folder = tmp_path_factory.mktemp("shoot")
    write_tsv(folder / "actors.tsv", ACTOR_COLUMNS, [])
    return SimpleNamespace(folder=folder, truth=make_lip_acc(folder))


@pytest.fixture(scope="module")
def made(recorded, tmp_path_factory) -> Path:
    """Its set and reports, made once by the stages, read only.

    root/dataset/lip_acc and root/annotations/lip_acc.
    """
    shoot, root = recorded.folder, tmp_path_factory.mktemp("root")
    data, notes = root / "dataset" / "lip_acc", root / "annotations" / "lip_acc"
    for name, row in shoot_lip_acc(shoot).items():
        stem, synced = shoot / "lip_acc" / name, notes / "sync" / f"{name}.json"
        timecode, face, wav = (Path(f"{stem}{suffix}") for suffix in (".timecode.json", ".mesh.h5", ".wav"))
        given = timecode if timecode.exists() else None
        sync.run(
            timecode=given, actors=[row.actor], bvh=[], face=[face], wav=[wav], out=synced, options=Sync()
        )
        weights = {"out": data / "face_arkit" / f"{name}.npy", "out_report": notes / "fit" / f"{name}.json"}
        blendshapes.run(
            face=face,
            rig=shoot / "rigs" / "003.npz",
            sync=synced,
            performance=name,
            **weights,
            options=Blendshapes(),
        )
        voice = {"out": [data / "wav" / f"{name}.wav"], "out_report": [notes / "separation" / f"{name}.json"]}
        separation.run(wav=[wav], sync=synced, performance=[name], **voice, options=Separation())
    lip_acc.run(shoot=shoot, reports=notes, out=data)
    return root


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_the_window_of_one_actor_is_what_face_and_voice_both_cover(recorded, made, name):
    about, truth = read_json(made / "annotations" / "lip_acc" / "sync" / f"{name}.json"), recorded.truth[name]
    assert about["take"] == name and [sorted(p) for p in about["performances"]] == [
        ["actor", "audio", "face"]
    ]
    start = max(truth.start["face"], truth.start["audio"])
    assert about["start_seconds"] == pytest.approx(start, abs=1e-6)
    last_face, end_voice = truth.start["face"] + 74 / 30, truth.start["audio"] + len(truth.voice) / AUDIO_RATE
    assert about["frames"] == int(min((last_face - start) * 30 + 1, (end_voice - start) * 30) + 1e-6)


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_the_set_has_weights_and_voices_of_the_truth(recorded, made, name):
    about, truth = read_json(made / "annotations" / "lip_acc" / "sync" / f"{name}.json"), recorded.truth[name]
    weights = np.load(made / "dataset" / "lip_acc" / "face_arkit" / f"{name}.npy")
    assert weights.shape == (about["frames"], 51) and weights.dtype == np.float32
    assert (
        np.abs(weights - truth.weights_at(about["start_seconds"] + np.arange(about["frames"]) / 30)).max()
        < 1e-4
    )
    voice, rate = soundfile.read(made / "dataset" / "lip_acc" / "wav" / f"{name}.wav")
    first = round((about["start_seconds"] - truth.start["audio"]) * AUDIO_RATE)
    assert rate == AUDIO_RATE and len(voice) == round(about["frames"] * AUDIO_RATE / 30)
    assert np.abs(voice - truth.voice[first : first + len(voice)]).max() < 1e-3, "one microphone is only cut"


def test_the_report_of_one_microphone_says_that_nothing_was_separated(made):
    found = read_json(made / "annotations" / "lip_acc" / "separation" / f"{FIRST}.json")
    samples = soundfile.info(made / "dataset" / "lip_acc" / "wav" / f"{FIRST}.wav").frames
    assert (found["performance"], found["method"], found["clipped_samples"], found["samples"]) == (
        FIRST,
        "none",
        0,
        samples,
    )
    assert not any("leak" in key or "sir" in key for key in found), "nobody else is heard"


def test_line_n_is_the_sentence_of_scenario_n(made):
    text = (made / "dataset" / "lip_acc" / "lip_acc_sentences.txt").read_text(encoding="utf-8")
    assert text == "She had your dark suit.\n\nDon’t ask me to carry an oily rag.\n", (
        "2 is not there, 4 is excluded"
    )


def test_streams_of_excluded_performances_are_removed_if_they_were_written_here(
    recorded, made, tmp_path, capsys
):
    data = shutil.copytree(made / "dataset" / "lip_acc", tmp_path / "lip_acc")
    kept = sorted(path.relative_to(data) for path in data.rglob("*.*"))
    for path in (data / "face_arkit" / "20260102_003_4.npy", data / "wav" / "20260102_003_4.wav"):
        path.write_bytes(b"")
    notes = shutil.copytree(made / "annotations" / "lip_acc", tmp_path / "reports")
    arguments = ["--shoot", recorded.folder, "--reports", notes, "--out", data]
    refused(
        lip_acc.main,
        arguments,
        capsys,
        "20260102_003_4.npy: its performance is not in lip_acc.tsv",
        "(2 such files); move it away",
    )
    assert len(list(data.rglob("*_4.*"))) == 2, "nobody says that the pipeline wrote them"
    for kind in ("fit", "separation"):
        (notes / kind / "20260102_003_4.json").write_text("{}")
    lip_acc.main([str(word) for word in arguments])
    assert sorted(path.relative_to(data) for path in data.rglob("*.*")) == kept


def test_a_shoot_without_the_set_is_refused(tmp_path, capsys):
    refused(
        lip_acc.main,
        ["--shoot", tmp_path, "--reports", tmp_path, "--out", tmp_path / "out"],
        capsys,
        "lip_acc: no such folder",
        outputs=[tmp_path / "out"],
    )


def test_tables_and_pictures_show_the_streams_that_there_are(made):
    about = read_json(made / "annotations" / "lip_acc" / "sync" / f"{FIRST}.json")
    assert (
        [line.split()[1] for line in sync.table(about)[1:]]
        == [row["stream"] for row in report_sync.sync_rows(about)]
        == ["face", "audio"]
    )
    figure, ax = pyplot().subplots()
    draw_streams(ax, about)
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "003 face",
        "003 audio",
    ] and "body" in STREAMS
    pyplot().close(figure)


@pytest.fixture
def alone(recorded, tmp_path):
    """A copy of the second performance, to spoil: its path without suffix, and the command that syncs it."""
    folder = shutil.copytree(recorded.folder / "lip_acc", tmp_path / "lip_acc")
    stem = folder / SECOND
    files = ["--timecode", f"{stem}.timecode.json", "--face", f"{stem}.mesh.h5", "--wav", f"{stem}.wav"]
    return stem, [*files, "--actors", "003", "--bvh", "--out", tmp_path / "out" / "sync.json"]


def without(arguments: list, flag: str) -> list:
    """Arguments less a flag and its value."""
    at = arguments.index(flag)
    return arguments[:at] + arguments[at + 2 :]


def test_sync_of_one_actor_stops_with_one_line(alone, shoot, capsys):
    stem, arguments = alone
    timecode, outputs = Path(f"{stem}.timecode.json"), [arguments[-1]]

    def stops(command: list, *needles: str) -> None:
        refused(sync.main, command, capsys, *needles, outputs=outputs)

    stops(
        without(arguments, "--timecode"),
        f"{SECOND}, actor 003: {SECOND}.wav has no timecode",
        "give its start under audio in timecode.json",
    )
    with_body = [
        *without(arguments, "--timecode"),
        "--bvh",
        shoot.folder / "20260101_001" / "20260101_001_001.bvh",
    ]
    stops(with_body, "timecode.json has no start and rate of the body")
    for content, needle in (
        ({"audio": {"001": {"start": "10:00:00:00"}}}, "audio of '001', need actors 003"),
        ({"body": {"003": {"start": "10:00:00:00"}}}, "has 'body', need face and audio only"),
        ([], "has no 'face', need {'face': {actor:"),
    ):
        timecode.write_text(json.dumps(content))
        stops(arguments, f"take {SECOND}: ", needle)
    timecode.unlink()
    stops(arguments, f"{timecode}: no such file")


def test_sync_of_two_actors_demands_every_stream(alone, capsys):
    stem, arguments = alone
    face, wav = f"{stem}.mesh.h5", f"{stem}.wav"
    two = [*arguments, "--actors", "001", "003"]
    for command, got in (
        (two, "got 0 --bvh, 1 --face, 1 --wav and a --timecode"),
        ([*two, "--face", face, face, "--wav", wav, wav], "got 0 --bvh, 2 --face, 2 --wav and a --timecode"),
        (
            [*without(two, "--timecode"), "--face", face, face, "--wav", wav, wav, "--bvh", face, face],
            "2 --wav and no --timecode",
        ),
        ([*arguments, "--wav", wav, wav], "got 1 --face, 2 --wav"),
        ([*arguments, "--bvh", face, face], "got 2 --bvh, 1 --face, 1 --wav"),
        ([*arguments, "--actors", "001", "002", "003"], "actors 001, 002, 003: got 0 --bvh"),
    ):
        refused(
            sync.main,
            command,
            capsys,
            got,
            "need one of each for each of two actors",
            outputs=[arguments[-1]],
        )


def test_one_actor_may_have_a_body(shoot, tmp_path):
    stem = shoot.folder / "20260101_001" / "20260101_001_001"
    entry = read_json(stem.parent / "timecode.json")["body"]["001"]
    write_json(tmp_path / "timecode.json", {"body": {"001": entry}})
    files = {
        kind: [Path(f"{stem}{suffix}")]
        for kind, suffix in (("bvh", ".bvh"), ("face", ".mesh.h5"), ("wav", ".wav"))
    }
    sync.run(
        timecode=tmp_path / "timecode.json",
        actors=["001"],
        **files,
        out=tmp_path / "sync.json",
        options=Sync(),
    )
    found = read_sync(tmp_path / "sync.json")
    truth = shoot.truth[stem.name].start
    assert found["take"] == stem.name and found["start_seconds"] == pytest.approx(
        max(truth.values()), abs=1e-6
    )
    assert stream_of(found, stem.name, "body", where="here")["start"] == pytest.approx(
        truth["body"], abs=1e-6
    )


def test_other_stages_name_what_one_actor_lacks(recorded, shoot, made, tmp_path, capsys):
    synced = made / "annotations" / "lip_acc" / "sync" / f"{FIRST}.json"
    wav = recorded.folder / "lip_acc" / f"{FIRST}.wav"
    out = [
        "--sync",
        synced,
        "--performance",
        FIRST,
        "--out",
        tmp_path / "x",
        "--out-report",
        tmp_path / "x.json",
    ]
    refused(
        separation.main,
        ["--wav", wav, wav, *out],
        capsys,
        f"take {FIRST}: got 2 --wav, need those of actors 003",
    )
    bvh = shoot.folder / "20260101_001" / "20260101_001_001.bvh"
    refused(body.main, ["--bvh", bvh, *out], capsys, f"{FIRST} was synced without body")


@pytest.mark.parametrize(
    ("change", "needle"),
    [
        (
            lambda v: v["performances"].append(v["performances"][0] | {"actor": "004"}),
            "actor 003 has no body",
        ),
        (lambda v: v["performances"].clear(), "neither two performances nor one alone"),
        (lambda v: v["performances"][0].pop("face"), "actor 003 has no face"),
        (lambda v: v["performances"][0].update(body=None), "actor 003 has no body"),
    ],
)
def test_only_one_performance_alone_is_without_body(made, tmp_path, change, needle):
    about = read_json(made / "annotations" / "lip_acc" / "sync" / f"{FIRST}.json")
    write_json(tmp_path / "sync.json", about)
    assert read_sync(tmp_path / "sync.json") == about
    change(about)
    write_json(tmp_path / "sync.json", about)
    with pytest.raises(InputError, match=needle):
        read_sync(tmp_path / "sync.json")
