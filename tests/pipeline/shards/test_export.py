import shutil

import numpy as np
import pytest
import soundfile

from pipeline.formats.bvh import load_bvh
from pipeline.formats.voice_file import read_wav
from pipeline.motion.clock import sample_of
from pipeline.motion.skeleton import forward_kinematics
from pipeline.shards import __main__ as tool
from pipeline.signals.resampling import resample


def test_export_gives_the_dataset_back(tiny, folder, tmp_path):
    tool.main(
        [
            "export",
            str(folder / "shard-001.h5"),
            "--take",
            "20260102_001",
            "--frames",
            "7:31",
            "--out",
            str(tmp_path),
        ]
    )
    for performance in ("20260102_001_001", "20260102_002_001"):
        was, now = (load_bvh(root / "bvhs" / f"{performance}.bvh") for root in (tiny.dataset, tmp_path))
        assert now.num_frames == 24 and now.fps == 30
        np.testing.assert_allclose(
            forward_kinematics(now)[0], forward_kinematics(was)[0][7:31], atol=0.005
        )  # 0.05 mm
        np.testing.assert_allclose(now.offsets_cm, was.offsets_cm, atol=1e-5)
        np.testing.assert_array_equal(
            np.load(tmp_path / "face_arkit" / f"{performance}.npy"),
            np.load(tiny.dataset / "face_arkit" / f"{performance}.npy")[7:31],
        )
        audio, rate = soundfile.read(tmp_path / "wav" / f"{performance}.wav", dtype="float32")
        whole = resample(
            *read_wav(tiny.dataset / "wav" / f"{performance}.wav"), int(sample_of(tiny.takes["20260102_001"]))
        )
        assert rate == 16000
        np.testing.assert_array_equal(audio, whole[sample_of(7) : sample_of(31)])


def test_export_replaces_only_what_it_exported(folder, tmp_path, capsys):
    command = [
        "export",
        str(folder / "shard-001.h5"),
        "--take",
        "20260102_001",
        "--frames",
        "7:31",
        "--out",
        str(tmp_path / "out"),
    ]
    tool.main(command)
    tool.main(command)
    shutil.copytree(tmp_path / "out", tmp_path / "dataset")
    with pytest.raises(SystemExit) as stop:
        tool.main([*command[:-1], str(tmp_path / "dataset")])
    assert stop.value.code == 2 and ".bvh: is there, and nothing in" in capsys.readouterr().err


@pytest.mark.parametrize("frames", ["5", "9:3", "0:9999", "a:b"])
def test_export_refuses_frames(folder, tmp_path, capsys, frames):
    with pytest.raises(SystemExit) as stop:
        tool.main(
            [
                "export",
                str(folder / "shard-001.h5"),
                "--take",
                "20260102_001",
                "--frames",
                frames,
                "--out",
                str(tmp_path),
            ]
        )
    assert stop.value.code == 2 and "need A:B" in capsys.readouterr().err
