"""Joint names: those of the public release, how exporters spell them, and which of a file's joints is which.

In: names of joints as a file has them. Out: canonical names, the release's, with the index of the joint that
each means.

Light: this module is imported while the Snakefile is read.
"""

import re
from pathlib import Path

JOINT_MAPS = Path(__file__).parent / "joint_maps"
"""Folder of the joint maps that come with the software."""


def shipped_joint_maps() -> list[str]:
    """Names of the joint maps that come with the software."""
    return sorted(path.stem for path in JOINT_MAPS.glob("*.tsv"))


def joint_map_file(name: str) -> Path:
    """The file that `name` means: a map that comes with the software (`mixamo`), else a path."""
    return JOINT_MAPS / f"{name}.tsv" if name in shipped_joint_maps() else Path(name)


_FINGERS = [f"{finger}{i}" for finger in ("Middle", "Ring", "Pinky", "Index", "Thumb") for i in ("", 1, 2, 3)]
_HAND = [name for name in _FINGERS if name not in ("Middle", "Thumb")]
SIDES = ("Left", "Right")
RELEASE_JOINTS = (
    ["Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Neck1", "Head"]
    + [
        f"{side}{part}"
        for side in SIDES
        for part in ["Shoulder", "Arm", "ForeArm", "Hand", *(f"Hand{name}" for name in _HAND)]
    ]
    + [f"{side}{part}" for side in SIDES for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
)
"""The 60 named joints of the public release."""


def _release_parent(name: str) -> str | None:
    """Parent of a joint in the public release. Pinkies hang off ring fingers, thumbs off index fingers."""
    trunk = ["Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Neck1", "Head"]
    if name in trunk:
        return trunk[trunk.index(name) - 1] if name != "Hips" else None
    side = "Left" if name.startswith("Left") else "Right"
    part = name.removeprefix(side)
    limbs = {
        "Shoulder": "Spine3",
        "Arm": "Shoulder",
        "ForeArm": "Arm",
        "Hand": "ForeArm",
        "UpLeg": "Hips",
        "Leg": "UpLeg",
        "Foot": "Leg",
        "ToeBase": "Foot",
        "HandMiddle1": "Hand",
        "HandRing": "Hand",
        "HandIndex": "Hand",
        "HandPinky": "HandRing",
        "HandThumb1": "HandIndex",
    }
    parent = limbs.get(part) or (part[:-1] + str(int(part[-1]) - 1) if part[-1] in "23" else part[:-1])
    return parent if parent in trunk else side + parent


RELEASE_PARENTS = {name: _release_parent(name) for name in RELEASE_JOINTS}

_SPELLINGS = {
    "Hips": "hips hip pelvis root_hips",
    "Spine": "spine lowerback spine_01 abdomen",
    "Neck": "neck neck_01",
    "Head": "head",
    "Shoulder": "shoulder collar clavicle",
    "Arm": "arm uparm upperarm shoulder_joint",
    "ForeArm": "forearm lowarm lowerarm elbow",
    "Hand": "hand wrist",
    "UpLeg": "upleg upperleg thigh hip_joint upleg_joint",
    "Leg": "leg lowleg lowerleg calf shin knee",
    "Foot": "foot ankle",
    "ToeBase": "toebase toe ball toes toe_base",
}


def plain_name(name: str) -> str:
    """A joint name without prefix, separators and case: `mixamorig:Left_UpLeg` -> `leftupleg`."""
    return name.split(":")[-1].replace("_", "").replace("-", "").replace(" ", "").replace(".", "").lower()


def _prefixes(names: list[str]) -> list[str]:
    """What stands before the hips' own name in the joint names (`Actor1_Hips`, `Bip01 Pelvis`), "" first."""
    ends = [re.fullmatch(r"(.*[^A-Za-z])(hips?|pelvis)", name, re.IGNORECASE) for name in names]
    return ["", *sorted({match[1] for match in ends if match})]


def _usual_spellings() -> dict[str, str]:
    result = {}
    for canonical, spellings in _SPELLINGS.items():
        plain = [plain_name(s) for s in spellings.split()]
        if canonical in ("Hips", "Spine", "Neck", "Head"):
            result.update({p: canonical for p in plain})
            continue
        for side, letter in zip(SIDES, "lr"):
            for p in plain:
                for spelling in (side.lower() + p, letter + p, p + letter, p + side.lower()):
                    result[spelling] = side + canonical
    return result


_EXACT = {plain_name(name): name for name in RELEASE_JOINTS}
_USUAL = _usual_spellings()


def bare(names: list[str]) -> list[str]:
    """The names without the prefix that an exporter put before them.

    Up to the last colon, or what stands before the hips' name.

    A prefix counts only where taking it away brings more names to the release's.
    """
    after_colon = [name.split(":")[-1] for name in names]
    choices = [[name.removeprefix(prefix) for name in after_colon] for prefix in _prefixes(after_colon)]
    return max(choices, key=lambda choice: len(_resolved(choice)))  # the first of equals: no prefix


def _resolved(names: list[str]) -> dict[str, int]:
    """Index of each joint whose bare name means one of the release's, by the release's name."""
    plain = [plain_name(name) for name in names]
    found: dict[str, int] = {}
    for table in (_EXACT, _USUAL):
        for j, name in enumerate(plain):
            canonical = table.get(name)
            if canonical and canonical not in found and j not in found.values():
                found[canonical] = j
    for side in SIDES:
        if f"{side}UpLeg" not in found and f"{side.lower()}hip" in plain:  # LeftHip, LeftKnee, LeftAnkle
            found[f"{side}UpLeg"] = plain.index(f"{side.lower()}hip")
        ankle = plain.index(f"{side.lower()}ankle") if f"{side.lower()}ankle" in plain else None
        if (
            ankle is not None and f"{side}ToeBase" not in found and found.get(f"{side}Foot", ankle) != ankle
        ):  # SMPL: the foot hangs off the ankle
            found[f"{side}ToeBase"], found[f"{side}Foot"] = found[f"{side}Foot"], ankle
        collar = [
            j for j, name in enumerate(plain) if name in (f"{side.lower()}collar", f"{side[0].lower()}collar")
        ]
        if (
            collar
            and f"{side}Arm" not in found
            and f"{side}Shoulder" in found
            and collar[0] != found[f"{side}Shoulder"]
        ):
            # LeftCollar, LeftShoulder, LeftElbow: the joint called shoulder is the upper arm's
            found[f"{side}Arm"], found[f"{side}Shoulder"] = found[f"{side}Shoulder"], collar[0]
    return found


def aliases(names: list[str]) -> dict[str, int]:
    """Index of each joint by canonical name.

    Canonical names are those of the public release. A joint whose name is canonical but for prefix,
    separators or case wins over one that is only a usual spelling. Joints without a canonical name are found
    under their own bare name.
    """
    own = bare(names)
    found = _resolved(own)
    for j, name in enumerate(own):
        if j not in found.values():
            found.setdefault(name, j)
    return found
