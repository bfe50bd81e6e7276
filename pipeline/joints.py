"""Joint names: those of the public release, how exporters spell them, and which of a file's joints is which.

In: names of joints as a file has them. Out: canonical names, the release's, with the index of the joint that each means.
"""

_FINGERS = [f"{finger}{i}" for finger in ("Middle", "Ring", "Pinky", "Index", "Thumb") for i in ("", 1, 2, 3)]
_HAND = [name for name in _FINGERS if name not in ("Middle", "Thumb")]
SIDES = ("Left", "Right")
RELEASE_JOINTS = (
    ["Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Neck1", "Head"]
    + [f"{side}{part}" for side in SIDES for part in ["Shoulder", "Arm", "ForeArm", "Hand", *(f"Hand{name}" for name in _HAND)]]
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
        "Shoulder": "Spine3", "Arm": "Shoulder", "ForeArm": "Arm", "Hand": "ForeArm",
        "UpLeg": "Hips", "Leg": "UpLeg", "Foot": "Leg", "ToeBase": "Foot",
        "HandMiddle1": "Hand", "HandRing": "Hand", "HandIndex": "Hand", "HandPinky": "HandRing", "HandThumb1": "HandIndex",
    }  # fmt: skip
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


def _plain(name: str) -> str:
    """A joint name without prefix, separators and case: `mixamorig:Left_UpLeg` -> `leftupleg`."""
    return name.split(":")[-1].replace("_", "").replace("-", "").replace(" ", "").replace(".", "").lower()


def _usual_spellings() -> dict[str, str]:
    result = {}
    for canonical, spellings in _SPELLINGS.items():
        plain = [_plain(s) for s in spellings.split()]
        if canonical in ("Hips", "Spine", "Neck", "Head"):
            result.update({p: canonical for p in plain})
            continue
        for side, letter in zip(SIDES, "lr"):
            for p in plain:
                for spelling in (side.lower() + p, letter + p, p + letter, p + side.lower()):
                    result[spelling] = side + canonical
    return result


_USUAL = _usual_spellings()


def aliases(names: list[str]) -> dict[str, int]:
    """Index of each joint by canonical name.

    Canonical names are those of the public release. A joint whose name is canonical but for prefix, separators or case
    wins over one that is only a usual spelling. Joints without a canonical name are found under their own plain name.
    """
    exact = {_plain(name): name for name in RELEASE_JOINTS}
    found: dict[str, int] = {}
    for table in (exact, _USUAL):
        for j, name in enumerate(names):
            canonical = table.get(_plain(name))
            if canonical and canonical not in found and j not in found.values():
                found[canonical] = j
    if "ToeBase" not in found:  # skeletons that call hip, knee and ankle LeftHip, LeftKnee, LeftAnkle
        for side in SIDES:
            plain = {_plain(name): j for j, name in enumerate(names)}
            if f"{side}UpLeg" not in found and f"{side.lower()}hip" in plain:
                found[f"{side}UpLeg"] = plain[f"{side.lower()}hip"]
    for j, name in enumerate(names):
        if j not in found.values():
            found.setdefault(name.split(":")[-1], j)
    return found
