import pytest

from pipeline.errors import InputError
from pipeline.formats import arkit


def test_names_are_the_51_in_live_link_order():
    assert len(arkit.NAMES_52) == len(set(arkit.NAMES_52)) == 52
    assert arkit.NAMES == arkit.NAMES_52[:51] and arkit.NAMES_52[51] == "tongueOut"
    assert (
        arkit.NAMES[0] == "eyeBlinkLeft"
        and arkit.NAMES[17] == "jawOpen"
        and arkit.NAMES[50] == "noseSneerRight"
    )


def test_names_are_the_columns_of_a_recording(real_data):
    with open(real_data / "face" / "llf_take_a.csv", encoding="utf-8-sig") as f:
        columns = f.readline().strip().split(",")
    assert [column.lower() for column in columns[2:54]] == [name.lower() for name in arkit.NAMES_52]


def test_rig_order_inverts_any_order_and_case():
    names = [name.upper() for name in reversed(arkit.NAMES_52)]
    assert [names[i].lower() for i in arkit.rig_order(names, "rig")] == [name.lower() for name in arkit.NAMES]


def test_missing_shapes_are_listed():
    with pytest.raises(InputError, match="rig x: 2 of the 51 ARKit shapes are missing: jawOpen, cheekPuff"):
        arkit.rig_order([name for name in arkit.NAMES if name not in ("jawOpen", "cheekPuff")], "rig x")
