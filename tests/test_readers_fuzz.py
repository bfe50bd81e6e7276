"""Files from elsewhere, broken in seeded ways: every reader keeps its promise or refuses with one line.

See benchmarks/fuzz_readers.py.
"""

import os
import time

import fuzz_readers
import pytest

from pipeline.errors import InputError

COUNT = 2000
"""Mutations of each format: with so many, 20 formats take half a minute; `--count` gives more by hand."""


@pytest.mark.parametrize("name", fuzz_readers.FORMATS)
def test_broken_files_are_read_as_promised_or_refused(name):
    counts, failures = fuzz_readers.fuzz(name, COUNT, seed=1)
    assert not failures, "\n".join(failures[:5])
    assert counts["error"] > COUNT / 20 and counts["right"] > 0, "both outcomes are exercised"


def outcome(tmp_path, read) -> tuple[str, str]:
    return fuzz_readers.outcome(tmp_path / "x", read)


def refuse(line: str):
    raise InputError(line)


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (lambda path: [][0], "IndexError"),
        (lambda path: fuzz_readers.need(0, "one row"), "broke its promise: one row"),
        (lambda path: refuse("a\n" * 3000), ""),
        (
            lambda path: bytearray(600 << 20).__setitem__(slice(None, None, 4096), b"x" * (600 << 8)),
            "more than 300 MB",
        ),
    ],
    ids=["exception", "promise", "long", "memory"],
)
def test_what_is_no_outcome_is_a_failure(tmp_path, monkeypatch, read, why):
    monkeypatch.setattr("pipeline.errors.LONGEST", 10**6)
    kind, said = outcome(tmp_path, read)
    assert kind == "failure" and why in said


def test_a_hang_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_readers, "SECONDS", 0.2)

    def spin(path):
        while True:
            time.monotonic()

    assert outcome(tmp_path, spin)[0] == "failure"


def test_a_process_that_dies_is_a_failure_and_the_rest_goes_on(monkeypatch):
    def make(path):
        path.write_bytes(b"good")

    def read(path):
        if path.read_bytes() == b"3":
            os._exit(7)

    numbers = iter(range(100))
    form = fuzz_readers.Format("x", make, read, lambda data, rng: b"%d" % next(numbers))
    monkeypatch.setitem(fuzz_readers.FORMATS, "odd", form)
    counts, failures = fuzz_readers.fuzz("odd", 6, seed=0)
    # the second process counts from 0 again: its numbers 4 and 5 are 0 and 1
    assert counts == {"right": 5, "failure": 1} and failures == [
        "odd, seed 0, mutation 3: the process ended with 7"
    ]


def test_mutations_are_seeded():
    for name in ("gltf", "npz", "csv", "mesh"):
        form = fuzz_readers.FORMATS[name]
        data, _ = fuzz_readers.mutation(form, name, 0, 0)
        made = [
            [form.mutate(data, fuzz_readers.mutation(form, name, i, 0)[1]) for i in range(20)]
            for _ in range(2)
        ]
        assert len(set(made[0])) > 10 and (name == "mesh" or name == "npz" or made[0] == made[1])
