from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import refused

from pipeline.annotate import contacts
from pipeline.annotate.contacts import HAND_LENGTH, RADII, TYPES, body_of, find_contacts, segment_distance
from pipeline.config import Contacts
from pipeline.errors import InputError
from pipeline.formats.bvh import save_bvh
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics, keep_joints
from pipeline.reading import read_json
from pipeline.simulate.figure import Figure

START, STOP = 20, 50
"""Frames in which the scripted hand touches."""


def actor(
    num_frames: int = 80, *, x: float = 0.0, fingers: bool = True, scale: float = 1.0, fps: float = 30.0
) -> Motion:
    """A body that stands still at x, arms hanging down, looking along z."""
    figure = Figure("001")
    positions = np.repeat(scale * figure.offsets_cm[None], num_frames, 0)
    positions[:, 0] += [x, 95.0 * scale, 0]
    local = np.zeros((num_frames, len(figure.names), 4))
    local[..., 3] = 1
    motion = Motion(
        figure.names,
        figure.parents,
        scale * figure.offsets_cm,
        fps,
        positions,
        local,
        {},
        ["xzy"] * len(figure.names),
    )
    return (
        motion
        if fingers
        else keep_joints(
            motion, [name for name in figure.names if "Hand" not in name or name.endswith("Hand")]
        )
    )


def moved(motion: Motion, hand: str, places: np.ndarray, *, up: bool = False) -> None:
    """Put a hand to world places (T, 3), whatever its arm does, fingers hanging or `up`.

    No joint above it is turned, so its axes are the world's.
    """
    j = motion.names.index(hand)
    world, _ = forward_kinematics(motion)
    motion.positions_cm[:, j] += places - world[:, j]
    if up:
        motion.rotations[:, j] = rotations.about("x", np.full(motion.num_frames, np.pi))


def beside(motion: Motion, part: str, forearm: float, gap: float) -> np.ndarray:
    """Where (3,) a vertical hand is whose surface lies `gap` forearms beside a vertical part's.

    It is on the part's left.
    """
    chain = body_of(motion).parts[part]
    away = (chain.radius + RADII["Hand"] * forearm) + gap * forearm
    highest = chain.points[0, :, 1].max()
    return chain.points[0, 0] * [1, 0, 1] + [away, highest, 0]


PARTS = {
    "hand-head": "Head",
    "hand-shoulder": "LeftShoulder",
    "hand-elbow": "LeftElbow",
    "hand-hand": "LeftHand",
}


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("scale", "fps", "fingers"), [(1.0, 30.0, True), (0.7, 120.0, True), (1.0, 30.0, False)]
)
def test_touches_are_found_to_the_frame(own, kind, scale, fps, fingers):
    """The second actor's right hand comes from afar to just within reach of a part, and leaves.

    The part is of its own body, or of the first's.
    """
    both = [
        actor(scale=scale, fps=fps, fingers=fingers),
        actor(x=150 * scale, scale=scale, fps=fps, fingers=fingers),
    ]
    forearm = body_of(both[0]).forearm
    target = beside(both[1 if own else 0], PARTS[kind], forearm, 0.04)
    away = np.repeat((target + [0, 0, 60 * scale])[None], 80, 0)
    away[START:STOP] = target
    moved(both[1], "RightHand", away, up=kind == "hand-head")
    found = find_contacts(both)
    assert [(c["type"], c["start"], c["stop"]) for c in found] == [(kind, START, STOP)]
    (contact,) = found
    hand, part = ("RightHand", PARTS[kind])
    if kind == "hand-hand":  # listed once: of one actor as the left hand's, of two as the first actor's
        assert {contact["hand"], contact["part"]} == {hand, part}
        assert (contact["actor"], contact["of"]) == ((1, 1) if own else (0, 1))
    else:
        assert (contact["hand"], contact["part"], contact["actor"], contact["of"]) == (
            hand,
            part,
            1,
            1 if own else 0,
        )


def test_a_hand_at_known_speed_touches_when_its_surface_is_near_enough():
    both = [actor(), actor(x=150)]
    forearm = body_of(both[0]).forearm
    gaps = np.concatenate([np.linspace(0.5, 0.0, 40), np.linspace(0.0, 0.5, 40)])
    moved(both[0], "RightHand", np.stack([beside(both[0], "Head", forearm, gap) for gap in gaps]), up=True)
    (contact,) = find_contacts(both, Contacts(gap=0.05, release_gap=0.1))
    near = np.flatnonzero(gaps < 0.1)  # both ends reach to where surfaces part
    assert (contact["start"], contact["stop"]) == (near[0], near[-1] + 1)
    assert not find_contacts(both, Contacts(gap=-0.01, release_gap=0.1))


def test_thresholds_are_in_the_actors_own_bones():
    for scale in (0.01, 0.5, 3.0):
        body = body_of(actor(scale=scale))
        assert body.forearm == pytest.approx(scale * body_of(actor()).forearm)
        assert body.parts["Head"].radius == pytest.approx(RADII["Head"] * body.forearm)


def test_short_touches_are_none_and_short_pauses_belong_to_one():
    both = [actor(), actor(x=150)]
    forearm = body_of(both[0]).forearm
    places = np.repeat((beside(both[0], "Head", forearm, 0.0) + [60, 0, 0])[None], 80, 0)
    for frames in (slice(5, 7), slice(20, 40), slice(42, 60)):
        places[frames] = beside(both[0], "Head", forearm, 0.0)
    moved(both[0], "RightHand", places, up=True)
    assert [(c["start"], c["stop"]) for c in find_contacts(both)] == [(20, 60)]
    assert [(c["start"], c["stop"]) for c in find_contacts(both, Contacts(min_seconds=0))] == [
        (5, 7),
        (20, 40),
        (42, 60),
    ]


def test_hanging_arms_touch_nothing_and_place_and_heading_do_not_matter():
    both = [actor(), actor(x=150)]
    assert find_contacts(both) == []
    forearm = body_of(both[0]).forearm
    moved(both[0], "LeftHand", np.repeat(beside(both[0], "Head", forearm, 0.0)[None], 80, 0), up=True)
    found = find_contacts(both)
    turn = rotations.about("y", np.full(80, 2.0))
    for motion in both:
        motion.positions_cm[:, 0] = rotations.rotate(turn, motion.positions_cm[:, 0]) + [300, 10, -50]
        motion.rotations[:, 0] = rotations.multiply(turn, motion.rotations[:, 0])
    assert find_contacts(both) == found and len(found) == 1


def test_a_hand_without_fingers_points_along_the_forearm():
    body = body_of(actor(fingers=False))
    hand = body.parts["LeftHand"].points[0]
    np.testing.assert_allclose(hand[1] - hand[0], [0, -HAND_LENGTH * body.forearm, 0], atol=1e-9)


def test_distance_of_segments_is_the_least_of_all_their_points():
    rng = np.random.default_rng(0)
    ends = rng.normal(0, 1, (300, 4, 3))
    ends[:50, 3] = ends[:50, 2] + 0.5 * (ends[:50, 1] - ends[:50, 0])  # parallel
    ends[50:80, 1] = ends[50:80, 0]  # a point
    ends[70:100, 3] = ends[70:100, 2]
    shares = np.linspace(0, 1, 201)
    for (a, b, c, d), found in zip(ends, segment_distance(*np.moveaxis(ends, 1, 0)), strict=True):
        one, other = a + shares[:, None] * (b - a), c + shares[:, None] * (d - c)
        least = np.linalg.norm(one[:, None] - other[None], axis=-1).min()
        assert least - 0.02 < found <= least + 1e-9


def test_bodies_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="got 80 frames at 30 fps and 81"):
        find_contacts([actor(), actor(81)])
    spoilt = actor()
    spoilt.positions_cm[4, 0] = np.nan
    with pytest.raises(InputError, match="1 frames with NaN, the first is 4"):
        find_contacts([actor(), spoilt])
    with pytest.raises(InputError, match="joints not found: LeftHand"):
        body_of(replace(actor(), names=["Paw" if name == "LeftHand" else name for name in actor().names]))


def test_contacts_command_line(tmp_path, capsys):
    paths = [tmp_path / "20260101_001_001.bvh", tmp_path / "20260101_002_001.bvh"]
    both = [actor(), actor(x=150)]
    place = np.repeat(beside(both[0], "Head", body_of(both[0]).forearm, 0.0)[None], 80, 0)
    moved(both[1], "RightHand", place, up=True)
    for path, motion in zip(paths, both, strict=True):
        save_bvh(path, replace(motion, free=frozenset({0, motion.names.index("RightHand")})))
    out = tmp_path / "contacts" / "20260101_001.json"
    contacts.main(["--bvh", *map(str, paths), "--out", str(out)])
    record = read_json(out)
    contact = {
        "type": "hand-head",
        "actor": "002",
        "of": "001",
        "hand": "RightHand",
        "part": "Head",
        "start": 0,
        "stop": 80,
    }
    assert record == {
        "actors": ["001", "002"],
        "frames": 80,
        "fps": 30.0,
        "lacking": {},
        "contacts": [contact],
    }
    out.unlink()
    refused(
        contacts.main,
        ["--bvh", paths[0], tmp_path / "20260101_003_001.bvh", "--out", out],
        capsys,
        "no such file",
        outputs=[out],
    )
    save_bvh(paths[1], actor(70))
    refused(
        contacts.main,
        ["--bvh", *paths, "--out", out],
        capsys,
        "20260101_002_001.bvh: contacts: got 80 frames",
        outputs=[out],
    )


def test_a_body_without_hands_has_no_contacts_and_stops_nothing(tmp_path, caplog):
    paths = [tmp_path / "20260101_001_001.bvh", tmp_path / "20260101_002_001.bvh"]
    for path, body, name in zip(paths, (actor(), actor(x=150)), ("LeftHand", "Paw"), strict=True):
        save_bvh(path, replace(body, names=[name if joint == "LeftHand" else joint for joint in body.names]))
    contacts.main(["--bvh", *map(str, paths), "--out", str(tmp_path / "c.json")])
    record = read_json(tmp_path / "c.json")
    assert (
        record["lacking"] == {"002": ["LeftHand"]}
        and record["contacts"] == []
        and "the body lacks LeftHand" in caplog.text
    )
