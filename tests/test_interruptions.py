"""kill -9 of the driver, of a stage and of training, again and again on one run.

At the end there are the bytes of an undisturbed one.

Three kills by default. INTERACT_INTERRUPTIONS=20 makes as many; INTERACT_INTERRUPTED=default interrupts the
default configuration (about 30 minutes on two cores) instead of the tiny one.
"""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.workflow_project import REPOSITORY, WITH_LIPS, make_project, planned, snakemake

from pipeline.ownership import MARK
from pipeline.report.timings import read_timings

NUM_KILLS = int(os.environ.get("INTERACT_INTERRUPTIONS", "3"))
OUTPUTS = ("shoot", "truth", "dataset", "annotations", "features", "shards", "runs", "results")
PATIENCE = 900.0
"""Seconds that one wait may take: a run that hangs fails with its log and holds up no other test."""
TARGET = "evaluate"
"""As far as runs go: what only draws comes after it, a job each, and dies like any other."""
VICTIMS = ("driver", "stage", "training")
GROWING = ("split.tsv", "log.jsonl", "state.json", "previous.json")
"""Files that are whole at any time but say how far the run has come.

Only their last state is that of the undisturbed run.
"""


def digests(project: Path) -> dict[str, str]:
    """SHA-256 of every output; leftovers would show as files that an undisturbed run does not have.

    Marks of ownership are left out: they name the place of their folder, which is another in every project.
    """
    files = [
        path
        for name in OUTPUTS
        for path in (project / "data" / name).rglob("*")
        if path.is_file() and path.name != MARK
    ]
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }


def stages(driver: int, name: str) -> list[int]:
    """Process ids of the stages that a driver runs, by what their command line holds.

    Stages of a driver that was killed before may still be running: their end is nothing to this one.
    """
    found = subprocess.run(
        ["pgrep", "-f", f"python -m {name}"], capture_output=True, text=True
    ).stdout.split()
    return [int(pid) for pid in found if driver in ancestors(int(pid))]


def ancestors(pid: int) -> list[int]:
    """Parents of a process, nearest first; none where it has ended."""
    result: list[int] = []
    with contextlib.suppress(OSError):  # it is gone
        while pid > 1:
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z":
                return []
            pid = int(parent)
            result.append(pid)
    return result


def finished_jobs(project: Path) -> int:
    """Jobs that have ended: each leaves its timing."""
    return sum(1 for _ in (project / "data" / "timings").rglob("*.tsv"))


def wait_until(condition: Callable[[], bool], what: str, log: Path) -> None:
    """Poll until the condition holds; fail with the end of the driver's log when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}:\n{log.read_text()[-4000:]}"
        time.sleep(0.02)


def kill_one(project: Path, victim: str, *, after: int, delay: float) -> None:
    """Start the workflow and kill -9 the victim.

    Wait until `after` jobs have ended and the victim runs, and `delay` seconds more.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", "2", TARGET]
    log = project / "driver.log"
    with log.open(
        "w"
    ) as output:  # not a pipe: nobody would read it while we wait, and a full one stops the driver
        driver = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=output)
    pattern = {"training": "models.train", "stage": "pipeline", "driver": "(pipeline|models)"}[victim]

    def ended() -> bool:
        return driver.poll() is not None

    def strike() -> bool:
        # the youngest: an older one may end by itself between being found and being killed, and then the run
        # goes on
        struck = [driver.pid] if victim == "driver" else stages(driver.pid, pattern)[-1:]
        if not struck:
            return ended()  # between two stages: the next one may be over in less than a second
        for pid in struck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # where the kill came too late for its process, another is struck soon, or the stages would be over
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(timeout=4)
        return ended()

    try:
        wait_until(
            lambda: ended() or (finished_jobs(project) >= after and bool(stages(driver.pid, pattern))),
            f"a {victim} to kill",
            log,
        )
        time.sleep(delay)
        assert not ended(), f"the run ended before the kill of {victim}: {log.read_text()[-2000:]}"
        wait_until(strike, f"the end of the run after the kill of {victim}", log)
    finally:
        driver.kill()
    assert driver.returncode != 0, f"the kill of {victim} came too late"
    if victim == "driver":
        assert (
            snakemake(project, "--unlock").returncode == 0
        )  # the killed driver could not take its lock away


@pytest.fixture
def undisturbed(request, tmp_path) -> tuple[Path, str]:
    """A finished project and the config that it ran."""
    if os.environ.get("INTERACT_INTERRUPTED") != "default":
        return request.getfixturevalue("finished")[0], WITH_LIPS
    config = (REPOSITORY / "config.yaml").read_text()
    project = make_project(tmp_path / "undisturbed", config=config)
    result = snakemake(project, "all")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return project, config


@pytest.mark.skipif(
    not Path("/proc").exists() or not shutil.which("pgrep"), reason="finds processes through /proc and pgrep"
)
def test_a_run_killed_again_and_again_ends_with_the_same_bytes(undisturbed, tmp_path):
    model, config = undisturbed
    expected = digests(model)
    rules = {*planned(model, "--forceall", TARGET)}
    timings = sorted(
        (path.stat().st_mtime, str(path))
        for path in (model / "data/timings").rglob("*.tsv")
        if path.relative_to(model / "data/timings").parts[0].removesuffix(".tsv") in rules
        or path.parent.name == "generate"
    )
    trained = [i for i, (_, name) in enumerate(timings) if "/train_run/" in name]
    jobs = read_timings(model / "data/timings")
    training_seconds = sum(
        seconds for rule, rows in jobs.items() if rule == "train_run" for seconds, _ in rows
    )
    # the interrupted run starts its jobs as users do, and those of the finished project were forked
    delays = {"driver": 1.5, "stage": 1.5, "training": max(1.5, 0.08 * training_seconds)}
    draw = random.Random("interruptions")
    # a stage dies while there are stages to run, training while there is training; within those, at random.
    # Kills of stages come before those of training: when training runs, hardly a stage is left to die. (Jobs
    # come in another order each time: training may begin while some that it does not need are still to come.)
    early = trained[0] * 3 // 4
    spans = {"driver": (1, len(timings) - 6), "stage": (1, early), "training": (early, early)}
    kills = sorted((draw.randint(*spans[VICTIMS[i % 3]]), VICTIMS[i % 3]) for i in range(NUM_KILLS))
    project = make_project(tmp_path, config=config)
    for after, victim in kills:
        kill_one(project, victim, after=after, delay=draw.uniform(0, delays[victim]))
        half_written = [
            name
            for name, digest in digests(project).items()
            if expected.get(name) not in (digest, None) and Path(name).name not in GROWING
        ]
        assert half_written == [], f"after the kill of {victim} at job {after}"
    result = snakemake(project, TARGET)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    found = digests(project)
    assert found.keys() <= expected.keys() and "data/results/table.csv" in found
    assert sum(name.endswith("model.safetensors") for name in found) == 5
    assert [name for name in found if found[name] != expected[name]] == []
