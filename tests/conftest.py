"""Fixtures that tests of every package share."""

import os
import time
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # more threads than free cores wait for each other
    for library in ("OMP", "OPENBLAS", "MKL"):  # before numpy and torch are imported
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

from helpers.workflow_project import WITH_LIPS, make_project, snakemake

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings, or skip where there is none."""
    path = Path(os.environ.get("INTERACT_REAL_DATA", ROOT.parent / "shared" / "real"))
    if not (path / "make_shoot.py").exists():
        pytest.skip(f"no real recordings at {path}; set INTERACT_REAL_DATA to run this test")
    return path


@pytest.fixture
def field() -> Path:
    """Folder of small files as other programs write them, or skip where there is none."""
    path = Path(os.environ.get("INTERACT_FIELD_DATA", ROOT.parent / "shared" / "field"))
    if not path.is_dir():
        pytest.skip(f"no files of other programs at {path}; set INTERACT_FIELD_DATA to run this test")
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[Path, float]:
    """A project with tiny models whose `all` ran through undisturbed, and the seconds that it took."""
    project = make_project(tmp_path_factory.mktemp("finished"), config=WITH_LIPS)
    begin = time.monotonic()
    result = snakemake(project, "all")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return project, time.monotonic() - begin


def pytest_itemcollected(item: pytest.Item) -> None:
    """Two processes share the tests, a file to each at a time: what a file prepares is prepared once.

    Files that share the finished project are one. It is said as a test is collected: xdist reads the groups
    before any hook of ours that sees all tests.
    """
    shares = "finished" in getattr(item, "fixturenames", ()) or item.path.name == "test_interruptions.py"
    item.add_marker(pytest.mark.xdist_group("finished" if shares else str(item.path.relative_to(ROOT))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of the whole workflow come first, since they last longest; before all, those that share a run."""

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("xdist_group").args == ("finished",):
            return 0
        return 1 if item.path.parent == Path(__file__).parent else 2

    items.sort(key=place)
