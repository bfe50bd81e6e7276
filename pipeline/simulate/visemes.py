"""Which mouth shapes a sound needs: phones of English to weights of ARKit shapes.

Phones fall into classes that look alike on the lips (visemes); a class has the weights that a clear, slow
articulation would reach. `CLOSURE` says how far the lips are shut at the middle of the sound: the closing
itself is made by pipeline.simulate.face, since it depends on how far the jaw is open at that moment.
"""

from pipeline.formats.arkit import NAMES

SIDES = ("Left", "Right")
_MARKS = str.maketrans("", "", "ˈˌːˑ'ʲʰ̩̃̈_:;")

PHONES = {
    "lips": "pbm",
    "teeth on lip": "fv",
    "tongue on teeth": "θð",
    "tongue tip": "tdnlɾɫʔ",
    "hiss": "sz",
    "hush": "ʃʒ",
    "back": "kɡgŋhx",
    "r": "ɹr",
    "w": "wʍ",
    "j": "j",
    "ah": "aɑɒ",
    "uh": "ʌɐ",
    "ae": "æ",
    "eh": "eɛ",
    "er": "əɜɚɝ",
    "ee": "iɪᵻ",
    "oh": "oɔ",
    "oo": "uʊ",
}
"""Phones of each class, one character each."""

_ONE_NAME = {
    "lips": {"jawOpen": 0.08, "mouthPress": 0.35, "mouthRollLower": 0.12, "mouthRollUpper": 0.10},
    "teeth on lip": {"jawOpen": 0.08, "mouthRollLower": 0.50, "mouthUpperUp": 0.14},
    "tongue on teeth": {"jawOpen": 0.18, "mouthLowerDown": 0.18, "mouthUpperUp": 0.06},
    "tongue tip": {"jawOpen": 0.14, "mouthLowerDown": 0.12, "mouthStretch": 0.08},
    "hiss": {"jawOpen": 0.07, "mouthStretch": 0.18, "mouthLowerDown": 0.16},
    "hush": {"jawOpen": 0.10, "mouthFunnel": 0.50, "mouthShrugUpper": 0.12, "jawForward": 0.12},
    "back": {"jawOpen": 0.20, "mouthLowerDown": 0.06},
    "r": {"jawOpen": 0.14, "mouthFunnel": 0.28, "mouthPucker": 0.18},
    "w": {"jawOpen": 0.08, "mouthPucker": 0.72, "mouthFunnel": 0.22},
    "j": {"jawOpen": 0.12, "mouthStretch": 0.20, "mouthSmile": 0.10},
    "ah": {"jawOpen": 0.66, "mouthLowerDown": 0.18, "mouthUpperUp": 0.10},
    "uh": {"jawOpen": 0.44, "mouthLowerDown": 0.12},
    "ae": {"jawOpen": 0.54, "mouthStretch": 0.22, "mouthUpperUp": 0.12},
    "eh": {"jawOpen": 0.38, "mouthStretch": 0.18, "mouthDimple": 0.10},
    "er": {"jawOpen": 0.30, "mouthFunnel": 0.06},
    "ee": {"jawOpen": 0.22, "mouthStretch": 0.30, "mouthSmile": 0.16},
    "oh": {"jawOpen": 0.44, "mouthFunnel": 0.42, "mouthPucker": 0.16},
    "oo": {"jawOpen": 0.20, "mouthPucker": 0.58, "mouthFunnel": 0.28},
}

VISEMES = {
    name: {
        shape + side: weight
        for shape, weight in weights.items()
        for side in (SIDES if shape + "Left" in NAMES else ("",))
    }
    for name, weights in _ONE_NAME.items()
}
"""Weights of ARKit shapes in [0, 1] at the middle of a sound of each class."""

CLOSURE = {"lips": 1.0}
STRENGTH = {
    "lips": 5.0,
    "teeth on lip": 4.0,
    "w": 2.5,
    "oo": 1.6,
    "hush": 1.8,
    "hiss": 1.5,
    "back": 0.5,
    "tongue tip": 0.7,
}
"""How firmly a class resists its neighbours; 1 where it is not listed.

Lips have to meet for p, b and m, while the shape of the lips hardly matters for k and t.
"""

CLASS_OF = {phone: name for name, text in PHONES.items() for phone in text}


def phones(ipa: str) -> tuple[str, ...]:
    """The phones of an IPA text without stress and length marks: "ˈeɪ" -> ("e", "ɪ").

    ValueError for one without a class.
    """
    result = tuple(ipa.translate(_MARKS))
    unknown = [phone for phone in result if phone not in CLASS_OF]
    if unknown or not result:
        raise ValueError(f"phoneme {ipa!r}: {unknown or 'no phone'} is in no viseme class; add it to PHONES")
    return result
