"""Tools that some tests need and not every machine has: a browser, node, extras.

A test calls the function of its tool. Where the tool is missing, the test is skipped and says how to get it.
INTERACT_NEED names tools, such as `browser,validator,films,usd`, whose lack fails the test instead.
"""

import importlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

GLTF = Path(__file__).with_name("gltf")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TOOLS = ("browser", "validator", "films", "usd", "slurm")


def missing(tool: str, how: str) -> NoReturn:
    """Skip the test, or the file while it is collected, for want of a tool; `how` says how to get it."""
    needed = {name.strip() for name in os.environ.get("INTERACT_NEED", "").split(",")} - {""}
    assert needed <= set(TOOLS), f"INTERACT_NEED: got {', '.join(sorted(needed))}, need some of {TOOLS}"
    if tool in needed:
        pytest.fail(f"INTERACT_NEED names {tool}, and it is missing: {how}", pytrace=False)
    pytest.skip(f"{tool} is missing: {how}", allow_module_level=True)


def extra(tool: str, *modules: str) -> None:
    """Need the modules of an extra of pyproject.toml."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            missing(tool, f"{error}; pip install -e '.[{tool if tool != 'browser' else 'test'}]'")


def usd() -> None:
    """Need usd-core."""
    extra("usd", "pxr.Usd")


def films() -> None:
    """Need what films are made with."""
    extra("films", "av", "vtk")


def browser() -> str:
    """Need a browser and what drives it; the path of its program."""
    extra("browser", "playwright.sync_api")
    if found := next((path for name in BROWSERS if (path := shutil.which(name))), None):
        return found
    missing("browser", "none of " + ", ".join(BROWSERS) + " is installed; apt-get install chromium")


def validator() -> str:
    """Need the official glTF validator; the path of node, which runs tests/helpers/gltf/validate.js."""
    node = shutil.which("node")
    if node is None:
        missing("validator", "no node; apt-get install nodejs npm")
    if not (GLTF / "node_modules" / "gltf-validator").is_dir():
        missing("validator", "npm ci --prefix tests/helpers/gltf")
    return node


def slurm(cluster: Path) -> None:
    """Need the two nodes that the script `cluster` starts: other nodes are not ours to take down.

    Only where INTERACT_NEED names them: these tests last longer than all others.
    """
    asked = "slurm" in os.environ.get("INTERACT_NEED", "")
    if (
        not asked
        or not shutil.which("sbatch")
        or subprocess.run([cluster, "status"], capture_output=True).returncode
    ):
        missing("slurm", "tests/helpers/slurm/check starts its two nodes, as root, and runs this there")
