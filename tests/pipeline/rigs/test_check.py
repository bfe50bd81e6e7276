import numpy as np
import pytest
from helpers.rig_files import QUADS, head

from pipeline.formats import arkit
from pipeline.formats.rig_file import Rig
from pipeline.rigs.check import faults

NEUTRAL, DELTAS = (array.astype(np.float32) for array in head())
INDEX = {name: i for i, name in enumerate(arkit.NAMES)}


def changed(**shapes) -> np.ndarray:
    deltas = DELTAS.copy()
    for name, delta in shapes.items():
        deltas[INDEX[name]] = delta
    return deltas


def test_a_good_rig_has_no_fault():
    assert faults(Rig(NEUTRAL, DELTAS, QUADS), "x") == []
    assert faults(Rig(NEUTRAL, DELTAS, np.concatenate([QUADS, [[0, 1, 9, -1]]])), "x") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"deltas": changed(jawOpen=0, mouthPucker=1e-4)},
            ["jawOpen moves no vertex", "mouthPucker moves no vertex"],
        ),
        (
            {"deltas": changed(mouthFunnel=DELTAS[INDEX["jawOpen"]] * 2)},
            ["jawOpen and mouthFunnel move the same way (cosine 1.00000)"],
        ),
        (
            {"deltas": changed(mouthFunnel=-DELTAS[INDEX["jawOpen"]])},
            ["jawOpen and mouthFunnel move opposite ways"],
        ),
        (
            {
                "deltas": changed(
                    mouthSmileLeft=DELTAS[INDEX["mouthSmileRight"]],
                    mouthSmileRight=DELTAS[INDEX["mouthSmileLeft"]],
                )
            },
            [
                "mouthSmileLeft acts on the actor's right; left is +x",
                "mouthSmileRight acts on the actor's left",
            ],
        ),
        (
            {"deltas": changed(jawLeft=DELTAS[INDEX["jawRight"]], jawRight=DELTAS[INDEX["jawLeft"]])},
            ["jawRight acts on the actor's left", "jawLeft acts on the actor's right"],
        ),
        (
            {"neutral": NEUTRAL * [-1, 1, 1], "deltas": DELTAS * np.float32([-1, 1, 1])},
            ["all 40 left and right shapes act on the other side"],
        ),
        ({"faces": QUADS + 1}, ["faces name vertices 1 to 64, need 0 to 63"]),
        ({"faces": QUADS[:, :2]}, ["faces int64 (49, 2), need integers (F,3) or (F,4)"]),
        ({"faces": QUADS[:0]}, ["no faces"]),
        (
            {"neutral": NEUTRAL / 100, "deltas": DELTAS / 100},
            ["the neutral is 0.24 cm high, need 15 to 40 for a head"],
        ),
        ({"neutral": NEUTRAL * 10, "deltas": DELTAS}, ["the neutral is 240 cm high"]),
        ({"stored_regions": {"lips": np.zeros(0, int)}}, ["region lips is empty"]),
        (
            {"deltas": changed(**{name: 0 for name in arkit.NAMES if name.startswith("brow")})},
            [
                *(f"{name} moves no vertex" for name in arkit.NAMES if name.startswith("brow")),
                "region brows is empty",
            ],
        ),
    ],
)
def test_faults_are_named(change, message):
    found = faults(Rig(**{"neutral": NEUTRAL, "deltas": DELTAS, "faces": QUADS} | change), "x")
    assert len(found) == len(message) and all(
        fault.startswith(need) for fault, need in zip(found, message)
    ), found
