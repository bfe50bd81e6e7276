import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.tiny_release import make_release

from pipeline.formats import ict
from pipeline.formats.takes import download_lip_acc
from pipeline.reading import read_json
from pipeline.release import lip as release_lip

NAME = "20231201_006_1"


@pytest.fixture
def folder(tmp_path):
    make_release(tmp_path / "interact", num_takes=1, seconds=1.0)
    return tmp_path / "interact"


def arguments(folder, out, kind="face_arkit"):
    files = {
        "--face": folder / "lip_acc" / kind / f"{NAME}.npy",
        "--wav": folder / "lip_acc/wav" / f"{NAME}.wav",
    }
    outs = {
        "--out-face": out / "face.npy",
        "--out-wav": out / "voice.wav",
        "--out-report": out / "report.json",
    }
    return [str(word) for pair in (files | outs).items() for word in pair]


def test_what_is_right_is_linked(folder, tmp_path):
    release_lip.main(arguments(folder, tmp_path))
    assert (tmp_path / "face.npy").is_symlink() and (tmp_path / "voice.wav").is_symlink()
    report = read_json(tmp_path / "report.json")
    assert report == {
        "performance": NAME,
        "frames": 30,
        "trimmed_frames": {"face": 0, "wav": 0},
        "face_from_ict": False,
    }


def test_ict_weights_become_arkit_and_a_longer_voice_is_cut(folder, tmp_path):
    path = folder / "lip_acc/wav" / f"{NAME}.wav"
    audio, rate = soundfile.read(path)
    soundfile.write(path, np.concatenate([audio, np.zeros(rate // 10)]), rate, subtype="PCM_24")
    release_lip.main(arguments(folder, tmp_path, "face_ict"))
    weights = np.load(folder / "lip_acc/face_ict" / f"{NAME}.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "face.npy"), ict.to_arkit(weights).astype(np.float32))
    assert soundfile.info(tmp_path / "voice.wav").frames == 48_000 and soundfile.info(path).frames == 52_800
    assert read_json(tmp_path / "report.json")["trimmed_frames"] == {"face": 0, "wav": 3}


def test_lengths_that_do_not_agree_are_refused(folder, tmp_path, capsys):
    path = folder / "lip_acc/face_arkit" / f"{NAME}.npy"
    np.save(path, np.load(path)[:9])
    said = f"{path}: got frames face 9, wav 30, need lengths that differ by at most 6"
    refused(
        release_lip.main,
        arguments(folder, tmp_path),
        capsys,
        said,
        outputs=[tmp_path / "face.npy", tmp_path / "voice.wav"],
    )


def test_the_set_of_a_download_has_its_sentences(folder):
    found = download_lip_acc(folder, exclude=["20231201_006_2"])
    assert {name: (row.actor, row.scenario, row.sentence) for name, row in found.items()} == {
        NAME: ("006", "1", "Sentence 1."),
        "20231201_006_3": ("006", "3", "Sentence 3."),
    }
    assert download_lip_acc(folder / "bvhs") == {}
