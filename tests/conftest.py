"""Fixtures that tests of every package share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def real_data() -> Path:
    """Folder of real recordings, or skip where there is none."""
    path = Path(os.environ.get("INTERACT_REAL_DATA", ROOT.parent / "shared" / "real"))
    if not (path / "make_shoot.py").exists():
        pytest.skip(f"no real recordings at {path}; set INTERACT_REAL_DATA to run this test")
    return path
