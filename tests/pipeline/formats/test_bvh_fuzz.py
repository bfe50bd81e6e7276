import random

import fuzz_bvh
import pytest

from pipeline.formats import bvh


def test_broken_files_are_read_rightly_or_refused():
    counts, failures = fuzz_bvh.fuzz(300, seed=1, files=[], num_frames=6)
    assert not failures
    assert counts["right"] > 40 and counts["error"] > 100 and counts["strict"] <= 3, (
        "both outcomes are exercised"
    )


@pytest.mark.parametrize(
    "fault",
    [
        lambda m: m.positions_cm.__iadd__(1e-5),
        lambda m: m.rotations[-1, 0].__setitem__(slice(None), [0, 0, 0, 1]),
        lambda m: m.rotations.__setitem__((0, 1), float("nan")),
        lambda m: m.names.reverse(),
        lambda m: m.parents.__setitem__(3, 1),
    ],
)
def test_wrong_motions_are_found(tmp_path, fault):
    data = fuzz_bvh.SMALL.encode()
    path = tmp_path / "x.bvh"
    path.write_bytes(data)
    motion = bvh.load_bvh(path, unit="cm")
    assert fuzz_bvh.difference(motion, data) == ""
    fault(motion)
    assert fuzz_bvh.difference(motion, data)


def test_mutations_are_seeded():
    data = fuzz_bvh.SMALL.encode()
    made = [[fuzz_bvh.mutate(data, random.Random(f"0 {i}")) for i in range(30)] for _ in range(2)]
    assert made[0] == made[1] and len(set(made[0])) > 20


def test_other_exceptions_are_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_bvh, "load_bvh", lambda path, unit: [][0])
    assert fuzz_bvh.outcome(b"", tmp_path / "x.bvh") == ("failure", "IndexError('list index out of range')")
