import shutil

import pytest
from helpers.commands import without_marks

NAME = "20260101_001_001"


@pytest.fixture
def work(shoot, captured, tmp_path):
    """A face of the shoot, to spoil, and the command that reads it."""
    path = shutil.copy(shoot.folder / "20260101_001" / f"{NAME}.mesh.h5", tmp_path / f"{NAME}.mesh.h5")
    sync = without_marks(captured / "annotations" / "sync" / "20260101_001.json", tmp_path / "sync.json")
    out, report = tmp_path / "out" / "x.npy", tmp_path / "report" / "x.json"
    rig = shoot.folder / "rigs" / "001.npz"
    return (
        path,
        [
            "--face",
            path,
            "--rig",
            rig,
            "--sync",
            sync,
            "--performance",
            NAME,
            "--out",
            out,
            "--out-report",
            report,
        ],
        [out, report],
    )
