from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.formats import arkit, rig_names

ICT = [
    *(f"{base}_{side}" for base in "PupilDilate browInnerUp cheekPuff cheekRaiser".split() for side in "LR"),
    *(
        "_".join((base, side[0])) if side else base
        for base, side in map(rig_names.without_side, arkit.NAMES)
        if base not in ("jaw", "mouth")
    ),
    *("jawLeft", "jawRight", "mouthLeft", "mouthRight"),
]
ICT = [name for name in ICT if name not in ("browInnerUp", "cheekPuff")]


def spelled(style):
    return [style(*rig_names.without_side(name)) for name in arkit.NAMES]


@pytest.mark.parametrize(
    "style",
    [
        lambda base, side: base + side,
        lambda base, side: base[0].upper() + base[1:] + side,
        lambda base, side: (base + side).upper(),
        lambda base, side: base + (f"_{side[0]}" if side else ""),
        lambda base, side: base + (f".{side[0]}" if side else ""),
        lambda base, side: base + side[:1],
        lambda base, side: "".join(
            f"_{letter.lower()}" if letter.isupper() else letter for letter in base + side
        ),
        lambda base, side: "-".join(filter(None, [base, side.lower()])),
        lambda base, side: "Face." + base + side,
        lambda base, side: "blendShape1." + base + (f"_{side[0]}" if side else ""),
        lambda base, side: "head_geo_" + base + side,
        lambda base, side: "Head:head_geoShape|" + base + side,
        lambda base, side: rig_names.ALTERNATES.get(base, (base,))[0] + side,
    ],
)
def test_usual_spellings_are_all_found(style):
    names = spelled(style)[::-1]
    found = rig_names.match(names, "x")
    assert (
        found.sources == {name: (50 - i,) for i, name in enumerate(arkit.NAMES)}
        and not found.missing
        and not found.left_over
    )


def test_the_names_of_ict_facekit_make_the_51():
    assert len(ICT) == 57
    found = rig_names.match(ICT, "x")
    assert not found.missing and found.left_over == [
        "PupilDilate_L",
        "PupilDilate_R",
        "cheekRaiser_L",
        "cheekRaiser_R",
    ]
    assert [ICT[i] for i in found.sources["browInnerUp"]] == ["browInnerUp_L", "browInnerUp_R"]
    assert [ICT[i] for i in found.sources["cheekPuff"]] == ["cheekPuff_L", "cheekPuff_R"]
    assert [ICT[i] for i in found.sources["mouthSmileRight"]] == ["mouthSmile_R"] and list(
        found.sources
    ) == list(arkit.NAMES)


@pytest.mark.parametrize(
    "name",
    [
        "tongueOut",
        "mouthSmile",
        "mouthOpen",
        "eyesClosed",
        "upperMouthLeft",
        "jawOpen_mouthClose",
        "jawOpen.mouthSmile_L",
        "jaw",
        "",
        "_L",
    ],
)
def test_other_shapes_are_left_over(name):
    found = rig_names.match([*arkit.NAMES, name], "x")
    assert found.left_over == [name] and not found.missing


def test_missing_shapes_are_listed_in_arkit_order():
    names = [name for name in arkit.NAMES if name not in ("cheekPuff", "jawOpen")]
    found = rig_names.match([*names, "cheekPuff_L"], "x")
    assert (
        found.missing == ["jawOpen", "cheekPuff"]
        and found.left_over == ["cheekPuff_L"]
        and "cheekPuff" not in found.sources
    )


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("JawOpen", "jawOpen"),
        ("a.jawOpen", "jawOpen"),
        ("eyeBlink_L", "eyeBlinkLeft"),
        ("cheekPuff_R", "cheekPuff"),
        ("lipPucker", "mouthPucker"),
    ],
)
def test_two_shapes_for_one_name_are_refused(more, name):
    for names in ([*arkit.NAMES, more], [more, *arkit.NAMES]):
        with pytest.raises(
            InputError,
            match=(
                rf"^x: '.*{more}' .*both {name}; remove or rename"
                if names[0] == more
                else f"and '{more}' are both {name};"
            ),
        ):
            rig_names.match(names, "x")


def test_two_equal_halves_are_refused():
    with pytest.raises(InputError, match="'cheekPuff_L' and 'cheekPuffLeft' are both cheekPuff"):
        rig_names.match(["cheekPuff_L", "cheekPuffLeft", "cheekPuff_R"], "x")


def test_no_spelling_means_two_shapes():
    count = sum(
        2 * (1 + len(rig_names.ALTERNATES.get(rig_names.without_side(name)[0], ())))
        for name in arkit.NAMES
        if name.endswith(("Left", "Right"))
    )
    count += sum(
        5 * (1 + len(rig_names.ALTERNATES.get(name, ())))
        for name in arkit.NAMES
        if not name.endswith(("Left", "Right"))
    )
    assert len(rig_names.spellings()) == count


def test_the_page_has_the_table_of_names():
    page = (Path(__file__).resolve().parents[3] / "docs" / "rigs.md").read_text(encoding="utf-8")
    assert "\n".join(rig_names.table()) in page
