import numpy as np
import pytest
from helpers.bodies import standing
from helpers.scenes import ict_rig
from helpers.tiny_dataset import body
from helpers.tiny_scene import simulated_rig
from scipy.spatial import ConvexHull, cKDTree

from pipeline.formats.arkit import NAMES
from pipeline.formats.bvh import load_bvh
from pipeline.formats.rig_file import Rig
from pipeline.motion import rotations
from pipeline.motion.skeleton import forward_kinematics
from pipeline.view.mannequin import (
    head_place,
    is_mask,
    mannequin,
    rest_places,
    shown_faces,
    skinned,
    triangles,
    vertex_normals,
)


@pytest.fixture(params=["simulated", "without fingers", "recorded", "a rod"])
def motion(request, pytestconfig):
    if request.param == "simulated":
        return standing(0.2)
    if request.param == "without fingers":
        return body(5)
    if request.param == "a rod":
        plain = body(5)
        return type(plain)(
            [f"bone{j}" for j in range(len(plain.names))], plain.parents, plain.offsets_cm, 30.0,
            plain.positions_cm, plain.rotations,
        )  # fmt: skip
    return load_bvh(pytestconfig.rootpath / "tests" / "recordings" / "cmu_01_03.bvh").frames(slice(1, 9))


@pytest.mark.parametrize("head", [True, False])
def test_the_skin_is_closed_and_looks_outwards(motion, head):
    skin = mannequin(motion, head=head)
    edges = np.concatenate([skin.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    there = set(map(tuple, edges.tolist()))
    assert len(there) == len(edges) and all((b, a) in there for a, b in there)
    corners = skin.vertices[skin.faces]
    volume = np.einsum("fa,fa->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert volume > 0
    np.testing.assert_allclose(np.linalg.norm(skin.normals, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(skin.weights.sum(1), 1, atol=1e-6)
    assert skin.weights.min() >= 0 and skin.joints.max() < len(motion.names)


def test_every_bone_is_inside_the_skin(motion):
    skin = mannequin(motion, head=True)
    rest = rest_places(motion)
    far, _ = cKDTree(skin.vertices).query(rest)
    assert far.max() < 20, "no joint is without a part about it"
    low, high = skin.vertices.min(0), skin.vertices.max(0)
    assert (rest > low - 1e-6).all() and (rest < high + 1e-6).all()


def test_a_man_has_the_volume_of_a_man():
    skin = mannequin(standing(0.1), head=True)
    corners = skin.vertices[skin.faces]
    litres = np.einsum("fa,fa->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6e3
    assert 50 < litres < 110
    assert ConvexHull(skin.vertices).volume / 1e3 > litres / 2


def test_skin_follows_the_joints_rigidly(motion):
    skin, rest = mannequin(motion, head=True), rest_places(motion)
    still = np.tile([0.0, 0.0, 0.0, 1.0], (len(rest), 1))
    np.testing.assert_allclose(skinned(skin, rest, rest, still), skin.vertices, atol=1e-4)
    world, turned = forward_kinematics(motion)
    moved = skinned(skin, rest, world[3], turned[3])
    alone = skin.weights[:, 0] > 1 - 1e-6
    held = skin.joints[alone, 0]
    expected = world[3][held] + rotations.rotate(turned[3][held], skin.vertices[alone] - rest[held])
    np.testing.assert_allclose(moved[alone], expected, atol=1e-4)
    assert alone.any() and np.isfinite(moved).all()


def test_the_skin_keeps_its_size_when_the_body_moves():
    motion = standing(0.5)
    skin, rest = mannequin(motion, head=True), rest_places(motion)
    world, turned = forward_kinematics(motion)
    moved = skinned(skin, rest, world[30], turned[30])
    edges = np.concatenate([skin.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    before, after = (np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (skin.vertices, moved))
    assert np.quantile(after / np.maximum(before, 1e-3), [0.01, 0.99]) == pytest.approx([1, 1], abs=0.5)


@pytest.mark.parametrize("turn", [None, np.pi / 2, np.pi])
def test_a_head_looks_ahead_and_ends_at_the_crown(turn):
    """Also on a skeleton whose hips are turned about in the rest pose, as the public release's are."""
    motion = standing(0.1)
    if turn is not None:
        about = rotations.about("y", np.array(turn))
        motion.offsets_cm[:] = rotations.rotate(about, motion.offsets_cm)
        motion.ends_cm.update({j: rotations.rotate(about, end) for j, end in motion.ends_cm.items()})
    rig = simulated_rig()
    place, rotation = head_place(motion, rig)
    placed = place + rotations.rotate(rotation, rig.neutral)
    head = motion.aliases()["Head"]
    up, tip = np.array([0, 1.0, 0]), motion.ends_cm[head]
    assert placed[:, 1].max() == pytest.approx(max(np.linalg.norm(tip), 18.0), abs=1e-6)
    toes = (
        rest_places(motion)[motion.aliases()["LeftToeBase"]]
        - rest_places(motion)[motion.aliases()["LeftFoot"]]
    )
    ahead = toes - up * (toes @ up)
    nose = placed[np.argmax(rig.neutral[:, 2])]
    assert nose @ ahead / np.linalg.norm(ahead) > 8


def test_a_mask_is_told_from_a_head():
    rig = simulated_rig(num_vertices=1500)
    front = rig.neutral[:, 2] > 4
    kept = np.cumsum(front) - 1
    faces = rig.faces[front[rig.faces].all(1)]
    mask = Rig(rig.neutral[front], rig.deltas[:, front], kept[faces])
    assert not is_mask(rig) and is_mask(mask)
    place, _ = head_place(standing(0.1), mask)
    assert (mask.neutral[:, 2] + place[2]).max() > 7, "the face lies before the mannequin's own head"


def test_a_neck_is_not_shown():
    rig = simulated_rig(num_vertices=1500)
    low = rig.neutral[:, 1].min()
    ring = np.array([[5.0, low - 20, 0], [-5.0, low - 20, 5], [0, low - 20, -5.0]], np.float32)
    n = len(rig.neutral)
    longer = Rig(
        np.concatenate([rig.neutral, ring]),
        np.concatenate([rig.deltas, np.zeros((len(NAMES), 3, 3), np.float32)], 1),
        np.concatenate([rig.faces, [[n, n + 1, n + 2, -1]]]),
    )
    shown = shown_faces(longer)
    assert shown.max() < n and len(shown) > 0.9 * len(triangles(rig.faces))
    assert len(shown_faces(rig)) == len(triangles(rig.faces)), "a head without a neck is shown whole"


def test_a_neck_ends_at_the_throat_and_higher_at_the_nape(real_data):
    rig = ict_rig(real_data)
    shown = shown_faces(rig)
    kept = np.unique(shown)
    jaw = np.linalg.norm(rig.deltas[NAMES.index("jawOpen")], axis=-1)
    jaw = rig.neutral[jaw > 0.5 * jaw.max()]
    assert len(shown) > 0.9 * len(triangles(rig.faces))
    lowest = rig.neutral[kept, 1].min()
    assert rig.neutral[:, 1].min() < lowest - 5 and jaw[:, 1].min() - 4 < lowest < jaw[:, 1].min()
    behind = rig.neutral[kept][rig.neutral[kept, 2] < rig.neutral[kept, 2].min() + 5]
    assert behind[:, 1].min() > jaw[:, 1].min() + 2


def test_quads_and_triangles_become_triangles():
    faces = np.array([[0, 1, 2, 3], [4, 5, 6, -1]])
    assert triangles(faces).tolist() == [[0, 1, 2], [4, 5, 6], [0, 2, 3]]
    assert triangles(np.zeros((0, 4), int)).shape == (0, 3)
    up = vertex_normals(np.array([[0.0, 0, 0], [0, 0, 1], [1, 0, 0], [5, 5, 5]]), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(up, [[0, 1, 0]] * 4)
