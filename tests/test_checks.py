"""The checkers pass, and the three lists of requirements agree.

A checker that is not installed is skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
SNAKEFILES = [
    "workflow/Snakefile",
    *sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "rules").glob("*.smk")),
]
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "snakefmt": ["snakefmt", "--check", *SNAKEFILES],
    "snakemake lint": ["snakemake", "--lint"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_checker_passes(name):
    tool, *arguments = CHECKS[name]
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed for {sys.executable}; pip install -e '.[test]'")
    result = subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def environment() -> tuple[list[str], list[str]]:
    """What environment.yml installs with conda, and with pip."""
    entries = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    return [entry for entry in entries if isinstance(entry, str)], next(
        entry["pip"] for entry in entries if isinstance(entry, dict)
    )


def environment_extras() -> list[str]:
    """Extras of this package that environment.yml names."""
    found = [
        match[1].split(",")
        for line in environment()[1]
        if (match := re.fullmatch(r"-e \.\[([\w,-]+)\]", line))
    ]
    assert len(found) == 1, "environment.yml installs this package once, with extras"
    return found[0]


def pins() -> dict[str, str]:
    """Version by canonical name in constraints.txt."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return {
        canonicalize_name(line.split("==")[0]): line.split("==")[1]
        for line in lines
        if not line.startswith("#")
    }


def test_environment_has_the_python_of_the_package():
    assert [entry for entry in environment()[0] if entry.startswith("python")] == [
        f"python{project()['requires-python']}"
    ]


def test_environment_takes_versions_from_the_constraints():
    assert "-c constraints.txt" in environment()[1]


def test_environment_names_extras_that_exist():
    assert set(environment_extras()) <= set(project()["optional-dependencies"])


def test_constraints_pin_what_the_environment_installs():
    extras = project()["optional-dependencies"]
    needed = [
        Requirement(line)
        for line in [
            *project()["dependencies"],
            *(line for name in environment_extras() for line in extras[name]),
        ]
    ]
    versions = pins()
    assert not [str(need) for need in needed if versions.get(canonicalize_name(need.name)) is None]
    assert not [
        str(need) for need in needed if not need.specifier.contains(versions[canonicalize_name(need.name)])
    ]


def test_constraints_are_sorted_and_name_each_package_once():
    comment, *lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    assert comment.startswith("#")
    assert lines == sorted(lines, key=str.lower)
    assert len(pins()) == len(lines)


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_status_installs_nothing():
    command = ["make", "status", "VENV=no/environment"]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert told.returncode != 0 and "make run makes it" in told.stderr and not (REPOSITORY / "no").exists()
    planned = subprocess.run(
        [*command, "--dry-run", "CONFIG=root=x"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    ).stdout
    assert "pipeline.planning.status --config root=x" in planned and "pip install" not in planned


def test_processes_share_whole_files(request):
    """Where processes share the tests, a file's tests bear the name of their group: xdist reads it there."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("one process runs all tests; make test has two")
    assert request.node.nodeid.endswith("@tests/test_checks.py")
