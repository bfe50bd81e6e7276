"""A real Slurm: a project through the profile, and what can go wrong on a cluster.

Runs on the two nodes that tests/helpers/slurm/cluster starts, and nowhere else: it takes nodes down and
cancels jobs. tests/helpers/slurm/check starts them, runs this file and stops them.

All tests share one project, which is compared with one that ran without Slurm after each fault: the tiny one,
or the default workflow where INTERACT_SLURM is `default`.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import needs
from helpers.workflow_project import REPOSITORY, TINY, make_project, snakemake

from models.checkpoints import NEWEST, read_record
from pipeline.ownership import MARK

CLUSTER = Path(__file__).parent / "helpers" / "slurm" / "cluster"
LONG = "long"
"""A run that no row needs: long enough to be caught while it trains."""
STEPS = 2000
WIDE = "wide"
"""The same run on two nodes, and shorter."""
SMALL = "channels: 8, blocks: 2, heads: 2, diffusion_steps: 10, batch_size: 2, window_frames: 30"
BASE = (REPOSITORY / "config.yaml").read_text() if os.environ.get("INTERACT_SLURM") == "default" else TINY
CONFIG = BASE + (
    f"runs:\n  {LONG}: {{recipe: body, joints: lower, steps: {STEPS}, checkpoint_steps: {STEPS}, {SMALL}}}\n"
    f"  {WIDE}: {{recipe: body, joints: lower, steps: 12, nodes: 2, {SMALL}}}\n"
)
PLACE = (".interact", MARK)
"""Names of what differs between any two roots: the folder of a root's own records, and the marks of folders.

Both name the place of the root and when it was used.
"""
ASKED = (
    "--profile", "slurm", "--jobs", "3", "--latency-wait", "10",
    "--slurm-init-seconds-before-status-checks", "5",
)  # fmt: skip
"""The profile as typed, for a site of four CPUs."""
ACCOUNTING = ("--slurm-status-command", "sacct")
"""Whether a job has ended is asked of Slurm's accounting."""
PATIENCE = 3600.0
STAGE = "data/annotations/contacts/20240108_001.json"


@pytest.fixture(scope="module", autouse=True)
def cluster() -> None:
    needs.slurm(CLUSTER)


def digests(project: Path) -> dict[str, str]:
    """SHA-256 of every file of the root but logs, timings and what names its place.

    A training that was stopped has a checkpoint of another step before its last one: left out for LONG.
    """
    found = {}
    for path in sorted((project / "data").rglob("*")):
        name = path.relative_to(project / "data")
        if not path.is_file() or name.parts[0] in ("logs", "timings") or set(PLACE) & set(name.parts):
            continue
        if name.parts[:3] == ("runs", LONG, "checkpoints"):
            continue
        found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differing(project: Path, other: Path) -> list[str]:
    one, two = digests(project), digests(other)
    return sorted(name for name in {*one, *two} if one.get(name) != two.get(name))


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def jobs() -> list[dict[str, str]]:
    """Every job that Slurm remembers: number, state, node, GPU asked for, and the rule in its comment."""
    keys = ("JobID", "State", "NodeList", "tres-per-node", "tres-per-job", "Comment", "RestartCnt")
    told = slurm("squeue", "--states=all", "-h", "-O", ",".join(f"{key}:150" for key in keys))
    return [
        dict(zip(keys, (line[i * 150 : (i + 1) * 150].strip() for i in range(len(keys)))))
        for line in told.splitlines()
    ]


def wait_for(condition: Callable[[], object], what: str, log: Path | None = None) -> object:
    """Poll until the condition holds, and give what it gave."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        told = log.read_text()[-3000:] if log else ""
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}\n{told}"
        time.sleep(0.1)
    return found


class Driver:
    """Snakemake on the login node, with its output in a file."""

    def __init__(self, project: Path, *arguments: str, commands: Path | None = None):
        """`commands`: a folder of commands that take the place of those of the system."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        if commands:
            environment["PATH"] = f"{commands}{os.pathsep}{environment['PATH']}"
        self.log = project / "driver.log"
        self.known = {job["JobID"] for job in jobs()}
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *ASKED, *arguments],
                cwd=project,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def running(self, rule: str) -> dict[str, str]:
        """The job of a rule, once it runs."""

        def found() -> dict[str, str] | None:
            assert self.process.poll() is None, self.told()
            return next(
                (
                    job
                    for job in jobs()
                    if job["JobID"] not in self.known and rule in job["Comment"] and job["State"] == "RUNNING"
                ),
                None,
            )

        return wait_for(found, f"a job of {rule}", self.log)

    def end(self) -> int:
        """Its exit code."""
        return self.process.wait(timeout=PATIENCE)

    def told(self) -> str:
        return self.log.read_text()[-6000:]

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        own = [job["JobID"] for job in jobs() if job["JobID"] not in self.known]
        slurm("scancel", *own) if own else None


def run(project: Path, *arguments: str, commands: Path | None = None) -> str:
    """A run that ends well; what it printed."""
    with Driver(project, *arguments, commands=commands) as driver:
        assert driver.end() == 0, driver.told()
        return driver.log.read_text()


def idle() -> None:
    wait_for(lambda: slurm("squeue", "-h") == "", "the end of all jobs")


def serves_again(node: str) -> None:
    """A node that was set down is taken up; Slurm refuses that where its daemon has come back by itself."""
    subprocess.run(
        ["scontrol", "update", f"nodename={node}", "state=resume"], capture_output=True, timeout=60
    )
    wait_for(lambda: "DOWN" not in slurm("scontrol", "show", "node", node), f"{node} to serve again")


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A project that ran without Slurm."""
    project = make_project(tmp_path_factory.mktemp("alone"), config=CONFIG)
    result = snakemake(project, "all", f"train_{LONG}")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project that ran through the profile, but for the long training."""
    project = make_project(tmp_path_factory.mktemp("slurm"), config=CONFIG)
    run(project, "all")
    return project


def begun(project: Path) -> Path:
    """The log of the long training, once it has done some steps; no trace of an earlier training is left."""
    return project / "data" / "runs" / LONG / "log.jsonl"


def forget(project: Path) -> None:
    """Remove the long training and its checkpoints."""
    shutil.rmtree(project / "data" / "runs" / LONG, ignore_errors=True)


def steps(project: Path) -> int:
    log = begun(project)
    return len(log.read_text().splitlines()) if log.exists() else 0


def checkpoint(project: Path) -> int:
    [folder] = (project / "data" / "runs" / LONG / "checkpoints").iterdir()
    return read_record(folder / NEWEST)["step"]


def training_log(project: Path) -> str:
    return (project / "data" / "logs" / "train_run" / f"{LONG}.log").read_text()


def same_training(project: Path, alone: Path) -> None:
    """The weights and every line of the log are those of a training that nothing stopped."""
    for name in ("model.safetensors", "log.jsonl", "model.json"):
        one, two = (each / "data" / "runs" / LONG / name for each in (project, alone))
        assert one.read_bytes() == two.read_bytes(), name
    lines = [json.loads(line) for line in begun(project).read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [*range(1, STEPS + 1)]


def test_the_profile_gives_the_bytes_of_a_run_without_slurm(project, alone):
    done = [job for job in jobs() if job["Comment"].startswith("rule_")]
    assert {job["NodeList"] for job in done} == {"node1", "node2"}
    for job in done:
        wants = job["Comment"].startswith(("rule_train_run", "rule_generate_"))
        assert ("gpu" in job["tres-per-node"] + job["tres-per-job"]) == wants, job
        assert not wants or job["NodeList"] == "node2", job
    took = (Path("/run/interact-slurm/jobcomp.log")).read_text()
    assert {f"NodeList={node} " in took for node in ("node1", "node2")} == {True}
    total = re.search(r"^total\s+(\d+)", (project / "driver.log").read_text(), re.MULTILINE)
    assert total and len(done) < int(total[1])  # stages of a take are one job
    names = [name for name in differing(project, alone) if not name.startswith(f"runs/{LONG}/")]
    assert names == []
    assert "results/table.csv" in digests(project) and "shards/shard-000.h5" in digests(project)


def test_a_cancelled_stage_is_made_by_the_next_run(project, alone):
    with Driver(project, "--retries", "0", "--forcerun", "contacts", "--", STAGE) as driver:
        slurm("scancel", driver.running("contacts")["JobID"])
        assert driver.end() == 1, driver.told()
    idle()
    run(project, STAGE)
    assert [name for name in differing(project, alone) if LONG not in name] == []


def test_a_cancelled_training_goes_on_where_it_stopped(project, alone):
    forget(project)
    with Driver(project, "--retries", "0", f"train_{LONG}") as driver:
        job = driver.running("train_run")
        wait_for(lambda: steps(project) > 20, "some steps", driver.log)
        slurm("scancel", job["JobID"])
        assert driver.end() == 1, driver.told()
    idle()
    stopped = checkpoint(project)
    assert 20 < stopped < STEPS
    assert f"stopped by SIGTERM after step {stopped} of {STEPS}" in training_log(project)
    run(project, f"train_{LONG}")
    assert f"goes on from step {stopped} of {STEPS}" in training_log(project)
    same_training(project, alone)


def test_a_preempted_training_is_queued_again_and_goes_on(project, alone):
    forget(project)
    spot = "--set-resources=train_run:slurm_partition=spot"
    with Driver(project, "--retries", "0", spot, f"train_{LONG}") as driver:
        job = driver.running("train_run")
        wait_for(lambda: steps(project) > 20, "some steps", driver.log)
        slurm(
            "sbatch",
            "-p",
            "cpu",
            "-w",
            job["NodeList"],
            "--exclusive",
            "--wrap",
            "sleep 5",
            "-o",
            "/dev/null",
        )
        assert driver.end() == 0, driver.told()
    assert next(each for each in jobs() if each["JobID"] == job["JobID"])["RestartCnt"] == "1"
    assert f"of {STEPS}" in training_log(project).split("goes on from step ")[1]
    same_training(project, alone)
    idle()


def test_a_training_over_its_time_is_given_more_and_goes_on(project, alone):
    forget(project)
    # the signal is the profile's
    resources = ("train_run:runtime=10 * attempt", "train_run:slurm_extra='--signal=TERM@120'")
    with Driver(project, "--retries", "1", "--set-resources", *resources, "--", f"train_{LONG}") as driver:
        job = driver.running("train_run")
        wait_for(lambda: steps(project) > 20, "some steps", driver.log)
        # which Slurm looks at twice a minute
        slurm("scontrol", "update", f"jobid={job['JobID']}", "timelimit=1")
        assert driver.end() == 0, driver.told()
        told = driver.log.read_text()
    assert "runtime=10" in told and "runtime=20" in told and "Trying to restart" in told, told[-3000:]
    assert f"of {STEPS}" in training_log(project).split("goes on from step ")[1]
    same_training(project, alone)
    idle()


def test_a_lost_node_costs_nothing_but_time(project, alone):
    forget(project)
    with Driver(project, "--retries", "0", f"train_{LONG}") as driver:
        job = driver.running("train_run")
        wait_for(lambda: steps(project) > 20, "some steps", driver.log)
        slurm("scontrol", "update", "nodename=node2", "state=down", "reason=test")
        try:
            wait_for(
                lambda: any(each["JobID"] == job["JobID"] and each["State"] == "PENDING" for each in jobs()),
                "the job to be queued again",
                driver.log,
            )
        finally:
            serves_again("node2")
        assert driver.end() == 0, driver.told()
    same_training(project, alone)
    assert differing(project, alone) == []
    idle()


def test_two_nodes_learn_what_one_learns(project, alone):
    run(project, "--set-resources", "train_run:slurm_partition=cpu", "--", f"train_{WIDE}")
    [job] = [each for each in jobs() if WIDE in each["Comment"]]
    assert job["NodeList"] == "node[1-2]"
    wide, long = (
        [line["loss"] for line in map(json.loads, lines.read_text().splitlines()) if "loss" in line]
        for lines in (
            project / "data" / "runs" / WIDE / "log.jsonl",
            alone / "data" / "runs" / LONG / "log.jsonl",
        )
    )
    shutil.rmtree(project / "data" / "runs" / WIDE)  # which the other project has not
    assert len(wide) == 12
    assert wide == pytest.approx(long[:12], rel=2e-4)


def test_the_driver_is_killed(project, alone):
    """Its job goes on, and what comes after that one is made by the next run."""
    target = "data/results/contacts.csv"
    (project / target).unlink()
    with Driver(project, "--forcerun", "contacts", "--", target) as driver:
        driver.running("contacts")
        os.kill(driver.process.pid, signal.SIGKILL)
        driver.end()
        driver.known = {job["JobID"] for job in jobs()}  # what it has submitted is left alone
    idle()
    locked = snakemake(project, target)
    assert locked.returncode == 1 and "--unlock" in locked.stderr + locked.stdout
    assert snakemake(project, "--unlock").returncode == 0
    run(project, target)
    assert differing(project, alone) == []


def test_a_job_over_its_memory_is_given_more(project, alone):
    target = "data/annotations/transcripts/20240108_001_001.json"
    told = run(
        project,
        "--retries", "1", "--set-resources", "transcripts:mem_mb=400 * attempt ** 3",
        "--forcerun", "transcripts",
        "--", target,
    )  # fmt: skip
    assert "mem_mb=400" in told and "mem_mb=3200" in told and "Trying to restart" in told, told[-3000:]
    assert differing(project, alone) == []


@contextlib.contextmanager
def small_disk(folder: Path, without: str, room: int) -> Iterator[None]:
    """A folder on a disk of its own with all of its files but one, and `room` bytes for that one."""
    kept = folder.with_name(f"{folder.name}.kept")
    size = room + sum(path.stat().st_size + 4096 for path in folder.rglob("*") if path.name != without)
    shutil.copytree(folder, kept)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True, ignore=lambda *_: [without])
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(kept)


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(project, alone, tmp_path):
    """Where Snakemake asks sacct: squeue tells it nothing."""
    (tmp_path / "squeue").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "squeue").chmod(0o755)
    shards, name = project / "data" / "shards", "shard-000.h5"
    # the sidecar of a shard has its name too
    sidecars = {path: path.read_bytes() for path in shards.glob(f"speech-*/{name}")}
    with small_disk(
        shards, name, room=sum(map(len, sidecars.values())) + (shards / name).stat().st_size // 2
    ):
        for path, content in sidecars.items():
            path.write_bytes(content)
        asked = ("--retries", "0", "--forcerun", "shards_build", "--", f"data/shards/{name}")
        with Driver(project, *ACCOUNTING, *asked, commands=tmp_path) as driver:
            assert driver.end() == 1, driver.told()
        log = (project / "data" / "logs" / "shards_build" / "shard-000.log").read_text()
        lines = [line for line in log.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and f"{name}: No space left on device" in lines[0], log
        assert "Traceback" not in log
        left = {path.name for path in shards.iterdir() if path.is_file()}
        assert left == {"index.parquet", "plan.json", "stats.json", MARK}, left
    idle()
    run(project, *ACCOUNTING, "--", "data/shards/shard-000.h5", commands=tmp_path)
    assert differing(project, alone) == []
