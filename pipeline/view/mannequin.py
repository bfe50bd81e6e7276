"""A plain mannequin on any skeleton: rounded limbs, a torso, hands with fingers, and feet.

In: a skeleton. Out: one closed skin in the rest pose, in cm, each vertex held by at most two joints. Sizes
follow the bones; what bones do not tell, such as the thickness of an arm, follows the length of the legs.
Joints are found by their canonical names (pipeline.motion.joints); a bone of another name becomes a thin rod,
so that no part of any skeleton is left out.

It also says where the head of a face rig sits on the Head joint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.arkit import NAMES
from pipeline.formats.rig_file import Rig
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import hips_frame

TYPICAL_LEG_CM = 86.6
"""Hip to ankle of the body that the thicknesses below belong to."""
HEAD_CM, MIN_TIP_CM = 18.0, 5.0
"""Least height of a head over its joint, and least length of a tip that tells where the crown is."""
BEFORE_CM = 2.5
"""How far the middle of a head lies before its joint."""
MASK_SHARE = 0.75
"""A face less deep than this share of its width, above the eyes, has no back of the head."""
MASK_FRONT_CM = 9.5
"""How far before its joint the forehead of a face without back of the head lies."""
NECK_CM = 2.0
"""What reaches further below the chin is a neck."""
THROAT, NAPE = (0.63, -0.2), (0.13, 0.42)
"""Where a neck is cut off, as shares: from the back of the head to the jaw, and from the chin to the eyes."""
FINGERS = ("Index", "Middle", "Ring", "Pinky")
SPINE = ("Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck")
SEGMENTS, FINGER_SEGMENTS = 16, 8
CAP_RINGS = 3


@dataclass(frozen=True)
class Skin:
    """A skinned mesh in its rest pose.

    vertices (V, 3) cm, normals (V, 3), faces (F, 3) int32, outward faces counter-clockwise; joints (V, 4)
    uint16 and weights (V, 4) float32, whose rows add up to 1.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    weights: np.ndarray


def rest_places(motion: Motion) -> np.ndarray:
    """World places (J, 3) in cm of joints in the rest pose, which has no rotations."""
    places = np.array(motion.offsets_cm, float)
    for j, parent in enumerate(motion.parents):
        if parent >= 0:
            places[j] += places[parent]
    return places


def body_axes(motion: Motion) -> np.ndarray:
    """Rows (3, 3): where left, up and forward of the body point in the rest pose.

    Those of the file, x, y and z, where the skeleton has no hips to tell.
    """
    try:
        frame = hips_frame(motion.names, motion.offsets_cm)
    except InputError:
        return np.eye(3)
    return rotations.rotate(frame[None], np.eye(3))


def skinned(skin: Skin, rest: np.ndarray, world: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) in cm of one frame, by linear blend skinning.

    rest (J, 3): `rest_places`; world (J, 3), turned (J, 4): the frame of `forward_kinematics`.
    """
    matrices = _matrices(turned)
    shift = world - np.einsum("jab,jb->ja", matrices, rest)
    result = np.zeros_like(skin.vertices, float)
    for column in range(skin.joints.shape[1]):
        weight = skin.weights[:, column, None]
        if weight.any():
            held = skin.joints[:, column]
            result += weight * (np.einsum("vab,vb->va", matrices[held], skin.vertices) + shift[held])
    return result


def _matrices(turned: np.ndarray) -> np.ndarray:
    """Rotation matrices (J, 3, 3) of quaternions (J, 4)."""
    return np.stack([rotations.rotate(turned, axis) for axis in np.eye(3)], -1)


def triangles(faces: np.ndarray) -> np.ndarray:
    """Faces (F, 3 or 4) as triangles (G, 3) int32; a corner of -1 is none."""
    faces = np.asarray(faces, np.int32)
    if faces.size == 0:
        return np.zeros((0, 3), np.int32)
    if faces.shape[1] == 3:
        return faces
    fourth = faces[:, 3] >= 0
    return np.concatenate([faces[:, :3], faces[fourth][:, [0, 2, 3]]])


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of triangles (F, 3), each weighted by its area; up where a vertex has no face."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    result = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), minlength=len(vertices))
            for axis in range(3)
        ],
        1,
    )
    length = np.linalg.norm(result, axis=1, keepdims=True)
    return np.where(length > 1e-12, result / np.maximum(length, 1e-12), [0.0, 1.0, 0.0])


def is_mask(rig: Rig) -> bool:
    """Whether a rig is a face without the back of a head."""
    _, upper = _upper_half(rig)
    depth, width = np.ptp(upper[:, 2]), np.ptp(upper[:, 0])
    return bool(depth < MASK_SHARE * width)


def _upper_half(rig: Rig) -> tuple[float, np.ndarray]:
    """Height of the eyes in cm, and the vertices (n, 3) above it."""
    blinks = [NAMES.index("eyeBlinkLeft"), NAMES.index("eyeBlinkRight")]
    travel = np.linalg.norm(rig.deltas[blinks], axis=-1).sum(0)
    eyes = (
        float(np.average(rig.neutral[:, 1], weights=travel))
        if travel.any()
        else float(rig.neutral[:, 1].mean())
    )
    upper = rig.neutral[rig.neutral[:, 1] > eyes]
    return eyes, upper if len(upper) > 3 else rig.neutral


def shown_faces(rig: Rig) -> np.ndarray:
    """Triangles (F, 3) int32 of a rig that are shown: those of the head, without a neck and shoulders below.

    A neck that comes with a face is as stiff as the head. It is cut off from the throat up to the nape, which
    are found from the chin, the lowest of what jawOpen moves, the eyes, and the back of the head.
    """
    faces = triangles(rig.faces)
    travel = np.linalg.norm(rig.deltas[NAMES.index("jawOpen")], axis=-1)
    if not travel.any():
        return faces
    jaw = rig.neutral[travel > 0.5 * travel.max()]
    chin = float(jaw[:, 1].min())
    if rig.neutral[:, 1].min() > chin - NECK_CM:
        return faces
    eyes, upper = _upper_half(rig)
    back, tall = float(upper[:, 2].min()), eyes - chin
    deep = float(jaw[:, 2].max()) - back
    (throat, low), (nape, high) = ((back + z * deep, chin + y * tall) for z, y in (THROAT, NAPE))
    cut = low + (high - low) * (rig.neutral[:, 2] - throat) / (nape - throat)
    return faces[(rig.neutral[:, 1] > cut)[faces].any(1)]


def head_height(motion: Motion, head: int) -> float:
    """How far the crown is above the Head joint, in cm."""
    return max(float(np.linalg.norm(motion.ends_cm.get(head, np.zeros(3)))), HEAD_CM)


def head_place(motion: Motion, rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """Place (3,) in cm and rotation (4,) of a rig's mesh in the axes of the Head joint.

    The face looks where the body looks in the rest pose, its crown lies on the tip of the Head joint, and
    the middle of the head, from front to back, a little before the joint. InputError where there is no Head.
    """
    found = motion.aliases()
    if "Head" not in found:
        raise InputError("skeleton: no joint Head, need one for the face; name it in a joint map")
    axes = body_axes(motion)
    _, upper = _upper_half(rig)
    low, high = upper.min(0), upper.max(0)
    ahead = MASK_FRONT_CM - high[2] if is_mask(rig) else BEFORE_CM - (low[2] + high[2]) / 2
    place = np.array([-(low[0] + high[0]) / 2, head_height(motion, found["Head"]) - high[1], ahead])
    return place @ axes, rotations.from_matrix(axes.T)


def mannequin(motion: Motion, *, head: bool) -> Skin:
    """The skin of a skeleton; with a plain head where `head`, without where a face rig gives one."""
    maker = _Maker(motion)
    maker.torso()
    maker.neck()
    if head:
        maker.head()
    for side in ("Left", "Right"):
        maker.arm(side)
        maker.hand(side)
        maker.leg(side)
    maker.rods()
    return maker.skin()


Held = tuple[tuple[int, float], ...]
"""Joints that hold a ring of vertices, with their weights."""


class _Maker:
    """Parts of a skin, and which bones they cover."""

    def __init__(self, motion: Motion):
        self.motion = motion
        self.at = motion.aliases()
        self.rest = rest_places(motion)
        self.left, self.up, self.ahead = body_axes(motion)
        self.covered: set[int] = set()
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        legs = [
            self.length(f"{side}UpLeg", f"{side}Leg") + self.length(f"{side}Leg", f"{side}Foot")
            for side in ("Left", "Right")
        ]
        known = [leg for leg in legs if leg > 1]
        self.scale = (sum(known) / len(known) if known else TYPICAL_LEG_CM) / TYPICAL_LEG_CM

    def place(self, name: str) -> np.ndarray:
        """Rest place (3,) of a canonical joint."""
        return self.rest[self.at[name]]

    def length(self, one: str, other: str) -> float:
        """Distance in cm between two canonical joints, 0 where one is missing."""
        if one not in self.at or other not in self.at:
            return 0.0
        return float(np.linalg.norm(self.place(one) - self.place(other)))

    def has(self, *names: str) -> bool:
        """Whether the skeleton has all of these canonical joints."""
        return all(name in self.at for name in names)

    def tip(self, joint: int, reach: float, way: np.ndarray) -> np.ndarray:
        """Rest place (3,) of a joint's end: its tip, or `reach` cm along `way` where the file has none."""
        end = self.motion.ends_cm.get(joint)
        if end is not None and np.linalg.norm(end) > 0.5:
            return self.rest[joint] + end
        return self.rest[joint] + reach * way / max(float(np.linalg.norm(way)), 1e-9)

    def cover(self, *joints: int) -> None:
        """These joints, and the bones that lead to them, have a part."""
        self.covered.update(joints)

    # parts ------------------------------------------------------------------------------------------------

    def loft(
        self,
        centres: Sequence[np.ndarray],
        radii: Sequence[tuple[float, float]],
        held: Sequence[Held],
        across: np.ndarray,
        *,
        segments: int = SEGMENTS,
        square: float = 2.0,
        caps: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """A closed tube of rings with rounded ends.

        centres (n, 3) cm; radii (n, 2): half width along `across`, and at right angles to it; held: what
        moves each ring; square: exponent of the rings' superellipse, 2 for ellipses; caps: how far the first
        and the last end bulge, as shares of their thickness.
        """
        points, sizes = np.array(centres, float), np.array(radii, float)
        along = np.gradient(points, axis=0) if len(points) > 1 else np.zeros_like(points)
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        first, last = (-caps[0] * sizes[0].min() * along[0], caps[1] * sizes[-1].min() * along[-1])
        turns = np.pi / 2 * np.arange(1, CAP_RINGS + 1) / (CAP_RINGS + 1)
        rings = [(points[0] + np.sin(a) * first, along[0], np.cos(a) * sizes[0]) for a in turns[::-1]]
        rings += list(zip(points, along, sizes))
        rings += [(points[-1] + np.sin(a) * last, along[-1], np.cos(a) * sizes[-1]) for a in turns]
        kept = [*[held[0]] * CAP_RINGS, *held, *[held[-1]] * CAP_RINGS]
        phi = 2 * np.pi * np.arange(segments) / segments
        cosine, sine = (np.sign(f) * np.abs(f) ** (2 / square) for f in (np.cos(phi), np.sin(phi)))
        vertices = []
        for point, way, size in rings:
            wide = across - way * (across @ way)
            wide /= max(float(np.linalg.norm(wide)), 1e-9)
            deep = np.cross(way, wide)
            vertices.append(point + size[0] * cosine[:, None] * wide + size[1] * sine[:, None] * deep)
        ends = [points[0] + first, points[-1] + last]
        flat = np.concatenate([*vertices, np.array(ends)])
        ring_of = np.repeat(np.arange(len(rings)), segments)
        self.add(flat, _tube_faces(len(rings), segments), [*(kept[r] for r in ring_of), held[0], held[-1]])

    def add(self, vertices: np.ndarray, faces: np.ndarray, held: Sequence[Held]) -> None:
        """Keep a closed part, its faces turned outwards."""
        corners = vertices[faces] - vertices.mean(0)
        if np.einsum("fa,fa->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() < 0:
            faces = faces[:, ::-1]
        joints, weights = np.zeros((len(vertices), 4), np.uint16), np.zeros((len(vertices), 4), np.float32)
        for row, holds in enumerate(held):
            for column, (joint, weight) in enumerate(holds):
                joints[row, column], weights[row, column] = joint, weight
        self.parts.append((vertices, faces, joints, weights))

    def chain(
        self,
        joints: Sequence[int],
        end: np.ndarray,
        profiles: Sequence[Sequence[tuple[float, float, float]]],
        across: np.ndarray,
        *,
        segments: int = SEGMENTS,
        first: int | None = None,
    ) -> None:
        """A limb along a chain of joints up to `end`, bent softly at each joint.

        profiles: for each bone, (share of its length, half width, half depth) of its rings, in cm; first:
        the joint that moves what lies above the first, which is the first itself by default.
        """
        places = [*(self.rest[j] for j in joints), end]
        centres: list[np.ndarray] = []
        radii: list[tuple[float, float]] = []
        held: list[Held] = []
        for k, profile in enumerate(profiles):
            start, stop = places[k], places[k + 1]
            length = max(float(np.linalg.norm(stop - start)), 1e-6)
            before = joints[k - 1] if k else (joints[0] if first is None else first)
            after = joints[min(k + 1, len(joints) - 1)]
            for share, wide, deep in profile:
                soft = max(wide, deep, 0.5)
                above = _ease(0.5 + share * length / (2 * soft))  # 0.5 at the joint, 1 beyond its thickness
                below = _ease(0.5 + (1 - share) * length / (2 * soft))
                own = min(above, below)
                other = before if above <= below else after
                centres.append(start + share * (stop - start))
                radii.append((wide, deep))
                held.append(
                    ((joints[k], own), (other, 1 - own))
                    if other != joints[k] and own < 1
                    else ((joints[k], 1.0),)
                )
        self.loft(centres, radii, held, across, segments=segments)
        self.cover(*joints)

    # the body ---------------------------------------------------------------------------------------------

    def torso(self) -> None:
        """Pelvis, waist, chest and shoulders: rings about the spine, moved by the joints along it."""
        if not self.has("Hips", "LeftUpLeg", "RightUpLeg", "Neck"):
            return
        s = self.scale
        spine = [self.at[name] for name in SPINE if name in self.at]
        hips, neck = self.place("Hips"), self.place("Neck")
        hip_line = (self.place("LeftUpLeg") + self.place("RightUpLeg")) / 2
        hip_wide = 0.5 * self.length("LeftUpLeg", "RightUpLeg") + 7.2 * s
        shoulders = 0.5 * self.length("LeftArm", "RightArm") if self.has("LeftArm", "RightArm") else 17 * s
        heights = np.array([(self.rest[j] - hips) @ self.up for j in spine])
        tops = [
            float((self.rest[self.at[n]] - hips) @ self.up) for n in ("LeftArm", "RightArm") if n in self.at
        ]
        rise = max(float((neck - hips) @ self.up), *tops, 1.0)  # some necks begin below the shoulders
        low = float((hip_line - hips) @ self.up)

        def middle(height: float) -> np.ndarray:
            """The spine's place at a height over the hips."""
            if height <= 0:
                part = min(height / low, 1.0) if low < -1e-6 else 0.0
                return hips + part * (hip_line - hips) + (height - part * low) * self.up
            inner = min(height, float(heights[-1]))
            place = np.array([np.interp(inner, heights, self.rest[spine][:, axis]) for axis in range(3)])
            return place + (height - inner) * self.up

        rings = (
            (low - 5.5 * s, 0.60 * hip_wide, 7.6 * s),
            (low - 2.5 * s, 0.90 * hip_wide, 9.8 * s),
            (low + 2.0 * s, hip_wide, 11.0 * s),
            (low + 9.0 * s, 0.93 * hip_wide, 10.2 * s),
            (0.36 * rise, 0.80 * hip_wide, 8.8 * s),
            (0.55 * rise, 0.80 * shoulders, 10.0 * s),
            (0.70 * rise, 0.90 * shoulders, 11.2 * s),
            (0.82 * rise, 0.90 * shoulders, 10.4 * s),
            (0.91 * rise, 0.74 * shoulders, 8.6 * s),
            (0.98 * rise, 0.48 * shoulders, 6.8 * s),
            (1.05 * rise, 0.34 * shoulders, 5.8 * s),
        )
        held: list[Held] = []
        for height, _, _ in rings:
            # a vertebra moves what lies about the middle of its bone; between two middles both do
            middles = [heights[0]] + [(a + b) / 2 for a, b in zip(heights[1:-1], heights[2:])]
            k = int(np.clip(np.searchsorted(middles, height, side="right") - 1, 0, len(middles) - 1))
            if height <= middles[0] or k == len(middles) - 1:
                held.append(((spine[k], 1.0),))
            else:
                part = float((height - middles[k]) / max(middles[k + 1] - middles[k], 1e-6))
                held.append(((spine[k], 1 - part), (spine[k + 1], part)))
        self.loft(
            [middle(height) for height, _, _ in rings],
            [(wide, deep) for _, wide, deep in rings],
            held,
            self.left,
            segments=24,
            square=2.4,
            caps=(0.4, 0.6),
        )
        self.cover(*spine, *(self.at[f"{side}UpLeg"] for side in ("Left", "Right")))
        between = set()  # joints that an exporter puts between the hips and a leg or the spine
        for name in ("LeftUpLeg", "RightUpLeg", "Neck"):
            parent = int(self.motion.parents[self.at[name]])
            while parent >= 0:
                between.add(parent)
                parent = int(self.motion.parents[parent])
        self.cover(*between)

    def neck(self) -> None:
        """From the top of the spine into the head."""
        if not self.has("Neck", "Head"):
            return
        s = self.scale
        joints, joint = [self.at["Head"]], int(self.motion.parents[self.at["Head"]])
        while joint >= 0 and joints[-1] != self.at["Neck"]:
            joints.append(joint)
            joint = int(self.motion.parents[joint])
        joints = joints[::-1]
        if joints[0] != self.at["Neck"]:
            return
        head = self.at["Head"]
        end = self.rest[head] + 4.0 * s * self.up + 1.2 * s * self.ahead  # skulls reach further forward
        profiles: list[list[tuple[float, float, float]]] = [
            [(0.15, 6.4 * s, 6.2 * s), (0.6, 5.6 * s, 5.8 * s)] if k == 0 else [(0.3, 5.4 * s, 5.6 * s)]
            for k in range(len(joints) - 1)
        ]
        self.chain(joints, end, [*profiles, [(0.0, 5.2 * s, 4.7 * s), (1.0, 4.4 * s, 4.2 * s)]], self.left)

    def head(self) -> None:
        """A plain head: an egg with a nose, so that one sees where it looks."""
        if "Head" not in self.at:
            return
        joint = self.at["Head"]
        height = head_height(self.motion, joint)
        crown = self.rest[joint] + height * self.up
        tall = 22.5 * max(self.scale, height / 22.5 if height > 22.5 else 0.0)
        shares = np.array([0.0, 0.10, 0.22, 0.36, 0.5, 0.64, 0.78, 0.9, 0.97])
        wide = np.array([2.9, 4.6, 5.9, 6.8, 7.3, 7.5, 7.0, 5.2, 2.8]) * self.scale
        deep = np.array([3.4, 5.2, 7.4, 8.8, 9.4, 9.6, 8.9, 6.6, 3.6]) * self.scale
        forward = np.array([4.0, 3.4, 2.0, 1.2, 1.0, 0.8, 0.6, 0.4, 0.3]) * self.scale
        centres = [crown + (share - 1) * tall * self.up + f * self.ahead for share, f in zip(shares, forward)]
        holds = ((joint, 1.0),)
        self.loft(centres, list(zip(wide, deep)), [holds] * len(centres), self.left, segments=20)
        nose = crown - 0.56 * tall * self.up + 10.2 * self.scale * self.ahead
        self.loft(
            [nose + 2.6 * self.scale * self.up - 0.9 * self.scale * self.ahead, nose],
            [(0.8 * self.scale,) * 2, (1.3 * self.scale,) * 2],
            [holds] * 2,
            self.left,
            segments=FINGER_SEGMENTS,
        )

    def arm(self, side: str) -> None:
        """Collar, shoulder, upper arm and forearm."""
        names = (f"{side}Arm", f"{side}ForeArm", f"{side}Hand")
        if not self.has(*names):
            return
        s = self.scale
        shoulder, elbow, hand = (self.at[name] for name in names)
        collar = self.at.get(f"{side}Shoulder")
        if collar is not None:
            base = self.place("Neck") if "Neck" in self.at else self.rest[collar]
            away = self.rest[shoulder] - base
            rise = max(float(-away @ self.up), 3.5 * s)  # shoulders slope from the neck
            start = base + (rise + float(away @ self.up)) * self.up + 0.1 * away
            slope = self.rest[shoulder] - start
            centres = [start + share * slope - 0.6 * s * self.up for share in (0.0, 0.3, 0.65, 1.0)]
            radii = [(5.6 * s, 5.6 * s), (5.0 * s, 6.2 * s), (4.8 * s, 5.8 * s), (4.9 * s, 5.2 * s)]
            top = int(self.motion.parents[collar])
            held: list[Held] = [((top, 0.8), (collar, 0.2)), ((top, 0.4), (collar, 0.6))]
            self.loft(centres, radii, [*held, ((collar, 1.0),), ((collar, 1.0),)], self.up)
            self.cover(collar)
        upper = [
            (0.0, 5.3 * s, 5.3 * s),
            (0.25, 5.0 * s, 5.1 * s),
            (0.6, 4.5 * s, 4.6 * s),
            (0.9, 4.0 * s, 4.1 * s),
        ]
        lower = [
            (0.0, 3.9 * s, 4.0 * s),
            (0.12, 4.1 * s, 4.1 * s),
            (0.35, 4.1 * s, 4.0 * s),
            (0.7, 3.3 * s, 3.2 * s),
        ]
        lower.append((0.98, 2.8 * s, 2.4 * s))
        self.chain(
            [shoulder, elbow],
            self.rest[hand],
            [upper, lower],
            self.ahead,
            first=collar if collar is not None else None,
        )
        self.cover(hand)

    def hand(self, side: str) -> None:
        """Palm and fingers; a mitten where the skeleton has no fingers."""
        if not self.has(f"{side}ForeArm", f"{side}Hand"):
            return
        s, hand = self.scale, self.at[f"{side}Hand"]
        wrist = self.rest[hand]
        arm = wrist - self.place(f"{side}ForeArm")
        knuckles = {f: self.at[f"{side}Hand{f}1"] for f in FINGERS if f"{side}Hand{f}1" in self.at}
        if len(knuckles) < 2:
            return self.mitten(side, wrist, arm)
        places = np.array([self.rest[j] for j in knuckles.values()])
        across = places[0] - places[-1]
        across /= max(float(np.linalg.norm(across)), 1e-9)
        middle = places.mean(0)
        spread = 0.5 * float(np.ptp(places @ across))
        holds: Held = ((hand, 1.0),)
        shares, wides = (0.0, 0.3, 0.7, 0.97), (2.7 * s, spread + 0.5 * s, spread + 1.0 * s, spread + 0.9 * s)
        deep = (2.3 * s, 1.9 * s, 1.6 * s, 1.25 * s)
        self.loft(
            [wrist + share * (middle - wrist) for share in shares],
            list(zip(wides, deep)),
            [holds] * 4,
            across,
            segments=SEGMENTS,
            square=2.8,
        )
        for finger in (*FINGERS, "Thumb"):
            chain = [self.at[n] for k in (1, 2, 3) if (n := f"{side}Hand{finger}{k}") in self.at]
            if not chain:
                continue
            r = (1.1 if finger == "Thumb" else 0.9 if finger != "Pinky" else 0.78) * s
            way = self.rest[chain[-1]] - self.rest[int(self.motion.parents[chain[-1]])]
            bones = []
            for k in range(len(chain)):
                thick = r * (1 - 0.1 * k)
                bones.append([(0.0, thick, thick), (0.5, 0.97 * thick, 0.97 * thick)])
            bones[-1].append((0.9, 0.72 * r, 0.68 * r))
            self.chain(
                chain, self.tip(chain[-1], 2.2 * s, way), bones, across, segments=FINGER_SEGMENTS, first=hand
            )
            if finger == "Thumb":
                base = wrist + 0.18 * (self.rest[chain[0]] - wrist)
                self.loft(
                    [base, (base + self.rest[chain[0]]) / 2, self.rest[chain[0]]],
                    [(1.5 * s, 1.5 * s), (1.7 * s, 1.5 * s), (1.15 * s, 1.1 * s)],
                    [holds, holds, ((hand, 0.5), (chain[0], 0.5))],
                    across,
                    segments=FINGER_SEGMENTS,
                )
            parent = int(self.motion.parents[chain[0]])
            while parent >= 0 and parent != hand:  # a bone of the palm
                self.cover(parent)
                parent = int(self.motion.parents[parent])
        return None

    def mitten(self, side: str, wrist: np.ndarray, arm: np.ndarray) -> None:
        """A hand without fingers, along what the skeleton has below the wrist."""
        s, hand = self.scale, self.at[f"{side}Hand"]
        below = _below(self.motion.parents, hand)
        thumb = next((j for j in below if "thumb" in self.motion.names[j].lower()), None)
        ends = {j: self.tip(j, 0.0, arm) for j in below if j != thumb}
        far = max(ends.values(), key=lambda end: float(np.linalg.norm(end - wrist)), default=wrist)
        way = far - wrist
        if np.linalg.norm(way) < 8 * s:
            way = arm / max(float(np.linalg.norm(arm)), 1e-9) * 17 * s
        point = self.tip(thumb, 3.0 * s, arm) if thumb is not None else None
        across = point - wrist if point is not None else self.ahead
        across = across - way * (across @ way) / (way @ way)
        if np.linalg.norm(across) < 1e-6:
            across = self.ahead if abs(self.ahead @ way) < 0.9 * np.linalg.norm(way) else self.up
        chain = [hand]
        while children := [j for j in below if int(self.motion.parents[j]) == chain[-1] and j != thumb]:
            chain.append(children[0])
        held: list[Held] = []
        reach = [float((self.rest[j] - wrist) @ way / (way @ way)) for j in chain]
        shares = (0.0, 0.25, 0.5, 0.75, 0.95)
        for share in shares:
            held.append(((chain[max(k for k, r in enumerate(reach) if r <= share + 1e-6 or k == 0)], 1.0),))
        self.loft(
            [wrist + share * way for share in shares],
            [
                (2.7 * s, 2.2 * s),
                (3.9 * s, 1.9 * s),
                (4.1 * s, 1.6 * s),
                (3.6 * s, 1.2 * s),
                (2.3 * s, 0.9 * s),
            ],
            held,
            across,
            square=2.6,
        )
        if point is not None and thumb is not None:
            side_way = across / max(float(np.linalg.norm(across)), 1e-9)
            start = wrist + 0.2 * way + 2.0 * s * side_way
            end = wrist + 0.55 * way + 5.2 * s * side_way
            self.loft(
                [start, (start + end) / 2, end],
                [(1.5 * s, 1.4 * s), (1.3 * s, 1.2 * s), (0.9 * s, 0.9 * s)],
                [((thumb, 1.0),)] * 3,
                side_way,
                segments=FINGER_SEGMENTS,
            )
        self.cover(*below)

    def leg(self, side: str) -> None:
        """Thigh, calf and foot."""
        names = (f"{side}UpLeg", f"{side}Leg", f"{side}Foot")
        if not self.has(*names):
            return
        s = self.scale
        hip, knee, ankle = (self.at[name] for name in names)
        thigh = [
            (0.0, 8.6 * s, 9.2 * s),
            (0.2, 8.6 * s, 9.0 * s),
            (0.55, 7.2 * s, 7.6 * s),
            (0.88, 5.7 * s, 6.0 * s),
        ]
        calf = [
            (0.0, 5.5 * s, 5.8 * s),
            (0.12, 5.4 * s, 5.6 * s),
            (0.35, 5.4 * s, 5.9 * s),
            (0.7, 4.0 * s, 4.3 * s),
        ]
        calf.append((0.98, 3.5 * s, 3.9 * s))
        hips = self.at.get("Hips")
        self.chain([hip, knee], self.rest[ankle], [thigh, calf], self.left, first=hips)
        self.cover(ankle)
        toe = self.at.get(f"{side}ToeBase")
        ball = self.rest[toe] if toe is not None else self.tip(ankle, 14 * s, self.ahead - 0.5 * self.up)
        away = ball - self.rest[ankle]
        flat = away - self.up * (away @ self.up)
        if np.linalg.norm(flat) < 1e-6:
            flat = self.ahead
        flat = flat / max(float(np.linalg.norm(flat)), 1e-9)
        drop = float(away @ self.up)  # how far the ball is below the ankle
        tip = self.tip(toe, 6.5 * s, flat) if toe is not None else ball + 5 * s * flat
        heel = self.rest[ankle] - 3.6 * s * flat + (drop + 2.2 * s) * self.up
        under = self.rest[ankle] + 1.0 * s * flat + (0.72 * drop + 1.4 * s) * self.up
        instep = self.rest[ankle] + 0.55 * float(away @ flat) * flat + (0.88 * drop + 0.9 * s) * self.up
        front = toe if toe is not None else ankle
        half: Held = ((ankle, 0.5), (front, 0.5)) if front != ankle else ((ankle, 1.0),)
        self.loft(
            [heel, under, instep, ball + 0.2 * s * self.up, (ball + tip) / 2, tip - 1.2 * s * flat],
            [
                (3.4 * s, 3.6 * s),
                (3.9 * s, 4.3 * s),
                (4.3 * s, 3.2 * s),
                (4.7 * s, 2.3 * s),
                (4.4 * s, 1.8 * s),
                (3.2 * s, 1.3 * s),
            ],
            [((ankle, 1.0),)] * 3 + [half] + [((front, 1.0),)] * 2,
            np.cross(self.up, flat),
            square=2.3,
        )
        if toe is not None:
            self.cover(toe, *_below(self.motion.parents, toe))

    def rods(self) -> None:
        """A thin rod along each bone that no part covers, held by the joint where it begins."""
        r = 1.6 * self.scale
        for j, parent in enumerate(int(p) for p in self.motion.parents):
            if parent >= 0 and j not in self.covered:
                self.rod(parent, self.rest[parent], self.rest[j], r)
            end = self.motion.ends_cm.get(j)
            if end is not None and j not in self.covered:
                self.rod(j, self.rest[j], self.rest[j] + end, r)

    def rod(self, joint: int, start: np.ndarray, stop: np.ndarray, radius: float) -> None:
        """A rod between two places, none where they are one place."""
        way = stop - start
        if np.linalg.norm(way) < 0.5:
            return
        across = np.eye(3)[int(np.argmin(np.abs(way)))]
        radius = min(radius, 0.45 * float(np.linalg.norm(way)))
        self.loft(
            [start, stop], [(radius, radius)] * 2, [((joint, 1.0),)] * 2, across, segments=FINGER_SEGMENTS
        )

    def skin(self) -> Skin:
        """All parts as one mesh."""
        if not self.parts:
            joint = 0
            self.loft(
                [self.rest[0], self.rest[0] + self.up], [(2.0, 2.0)] * 2, [((joint, 1.0),)] * 2, self.left
            )
        starts = np.cumsum([0, *(len(part[0]) for part in self.parts)])
        vertices = np.concatenate([part[0] for part in self.parts])
        faces = np.concatenate([part[1] + start for part, start in zip(self.parts, starts)]).astype(np.int32)
        joints, weights = (np.concatenate([part[k] for part in self.parts]) for k in (2, 3))
        return Skin(vertices, vertex_normals(vertices, faces), faces, joints, weights)


def _ease(x: float) -> float:
    """0 up to 0, 1 from 1, smooth between."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


def _below(parents: np.ndarray, joint: int) -> list[int]:
    """Joints below a joint, in their order."""
    below = {joint}
    for j, parent in enumerate(parents):
        if int(parent) in below:
            below.add(j)
    return sorted(below - {joint})


def _tube_faces(num_rings: int, segments: int) -> np.ndarray:
    """Triangles of a tube of rings whose two ends are closed by the two vertices behind the rings."""
    ring = np.arange(segments)
    after = np.roll(ring, -1)
    faces = []
    for r in range(num_rings - 1):
        a, b = r * segments + ring, r * segments + after
        c, d = a + segments, b + segments
        faces += [np.stack([a, b, d], 1), np.stack([a, d, c], 1)]
    first, last = num_rings * segments, num_rings * segments + 1
    top = (num_rings - 1) * segments
    faces.append(np.stack([after, ring, np.full(segments, first)], 1))
    faces.append(np.stack([top + ring, top + after, np.full(segments, last)], 1))
    return np.concatenate(faces)
