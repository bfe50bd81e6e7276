"""Fingers of a body: which of its joints are a finger's.

In: a motion, or a skeleton's names and parents. Out: joint indices by finger, knuckle first.
"""

from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion

FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")


def fingers_of(motion: Motion) -> dict[str, list[int]]:
    """The joints of each finger with three of them, knuckle first, by name such as LeftIndex.

    A finger is found by its word in the names below the hand; a joint before the knuckle (the release's
    HandIndex) has no number.
    """
    found = motion.aliases()
    result: dict[str, list[int]] = {}
    for side in SIDES:
        if f"{side}Hand" not in found:
            continue
        below = {found[f"{side}Hand"]}
        for j, parent in enumerate(motion.parents):
            if parent in below:
                below.add(j)
        for finger in FINGERS:
            words = ("pinky", "little") if finger == "Pinky" else (finger.lower(),)
            joints = [
                j
                for j in sorted(below)
                if any(word in motion.names[j].split(":")[-1].lower() for word in words)
            ]
            numbered = [j for j in joints if motion.names[j].rstrip("_")[-1:] in "123"]
            line = [j for j in numbered if len(numbered) == 3]
            if len(line) == 3 and motion.parents[line[1]] == line[0] and motion.parents[line[2]] == line[1]:
                result[f"{side}{finger}"] = line
    return result
