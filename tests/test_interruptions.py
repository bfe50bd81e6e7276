"""kill -9 of the driver, of a stage and of training at random moments, each followed by one rerun: the same bytes.

One moment by default; INTERACT_INTERRUPTIONS=20 tries as many (about two minutes each on two cores).
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workflow_project import make_project, snakemake

NUM_MOMENTS = int(os.environ.get("INTERACT_INTERRUPTIONS", "1"))
OUTPUTS = ("shoot", "truth", "dataset", "annotations", "features", "shards", "runs", "results")
VICTIMS = ("driver", "training", "stage")


def digests(project: Path) -> dict[str, str]:
    """SHA-256 of every output; leftovers would show as files that an undisturbed run does not have."""
    files = [path for name in OUTPUTS for path in (project / "data" / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def stages(project: Path, name: str) -> list[int]:
    """Process ids of the stages that run in a project, by what their command line holds."""
    found = subprocess.run(["pgrep", "-f", f"python -m {name}"], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in found if Path(f"/proc/{pid}/cwd").exists() and Path(f"/proc/{pid}/cwd").resolve() == project.resolve()]


@pytest.mark.skipif(not Path("/proc").exists() or not shutil.which("pgrep"), reason="finds processes through /proc and pgrep")
@pytest.mark.parametrize("moment", range(NUM_MOMENTS))
def test_a_killed_run_goes_on_to_the_same_bytes(finished, tmp_path, moment):
    model, seconds = finished
    draw = random.Random(f"interruption {moment}")
    victim = VICTIMS[moment % len(VICTIMS)]
    project = make_project(tmp_path)
    driver = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", "all"], cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    pattern = "models.train" if victim == "training" else "(pipeline|models)"
    deadline = time.monotonic() + draw.uniform(0.1, 0.9) * seconds
    while driver.poll() is None and (time.monotonic() < deadline or (victim != "driver" and not stages(project, pattern))):
        time.sleep(0.02)
    assert driver.poll() is None, "the run ended before the kill"
    for pid in [driver.pid] if victim == "driver" else stages(project, pattern)[:1]:
        os.kill(pid, signal.SIGKILL)
    driver.wait(timeout=300)
    if victim == "driver":
        assert snakemake(project, "--unlock").returncode == 0  # the killed driver could not take its lock away
    result = snakemake(project, "all")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    found, expected = digests(project), digests(model)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
