"""Streams without timecode, placed by mouth and voice through the whole of sync."""

import h5py
import numpy as np
import pytest

from pipeline.capture import sync
from pipeline.config import Simulate, Sync
from pipeline.formats.rig_file import Rig, save_rig
from pipeline.reading import read_json
from pipeline.simulate import plan, take
from pipeline.simulate.head import make_head

HALF_FRAME = 1 / 60
SEED = 30


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A simulated take of 30 s whose faces lose no frame, rigs, and the truth."""
    root = tmp_path_factory.mktemp("talk")
    row = plan.plan_takes(1, SEED)[0]
    options = Simulate(seconds=30, num_vertices=200, drop_rate=0.0)
    take.run(take=row["take"], out=root / "shoot", truth=root / "truth", seed=SEED, options=options)
    actors = [row["actor_a"], row["actor_b"]]
    for actor in actors:
        head = make_head(actor, 200)
        save_rig(root / f"{actor}.npz", Rig(head.neutral, head.deltas, head.faces))
    stems = [root / "shoot" / row["take"] / f"{row['date']}_{actor}_{row['scenario']}" for actor in actors]
    return root, actors, stems, read_json(root / "truth" / row["take"] / "truth.json")["start"]


def placed(talk, folder, spoil) -> tuple[list[dict], list[dict]]:
    """Performances of the sync JSON of spoilt streams, and the true starts.

    Copies of the second actor's streams go through `spoil(face, wav)`.
    """
    root, actors, stems, start = talk
    files = {
        kind: [stem.with_suffix(suffix) for stem in stems]
        for kind, suffix in (("bvh", ".bvh"), ("face", ".mesh.h5"), ("wav", ".wav"))
    }
    for kind in ("face", "wav"):
        copied = folder / files[kind][1].name
        copied.write_bytes(files[kind][1].read_bytes())
        files[kind][1] = copied
    spoil(files["face"][1], files["wav"][1])
    rig = [root / f"{actor}.npz" for actor in actors]
    options = Sync(without_timecode="voice")
    sync.run(
        timecode=stems[0].parent / "timecode.json",
        actors=actors,
        **files,
        rig=rig,
        out=folder / "sync.json",
        options=options,
    )
    return read_json(folder / "sync.json")["performances"], [start[actor] for actor in actors]


def no_bext(face, wav):
    wav.write_bytes(wav.read_bytes().replace(b"bext", b"junk", 1))


def no_codes(face, wav):
    with h5py.File(face, "r+") as f:
        del f["timecode"]
        f.attrs["rate"] = 60.0


def no_codes_and_a_masked_beginning(face, wav):
    no_codes(face, wav)
    with h5py.File(face, "r+") as f:
        f["vertices"][:40] = np.nan


@pytest.mark.parametrize(
    ("kind", "spoil"), [("audio", no_bext), ("face", no_codes), ("face", no_codes_and_a_masked_beginning)]
)
def test_a_stream_without_timecode_is_placed_within_half_a_frame(talk, tmp_path, kind, spoil):
    found, true = placed(talk, tmp_path, spoil)
    assert found[1][kind]["source"] == "mouth and voice"
    assert found[1][kind]["start"] == pytest.approx(true[1][kind], abs=HALF_FRAME)
    assert found[0][kind]["start"] == pytest.approx(true[0][kind], abs=1e-4), (
        "the other actor's has its timecode"
    )
    assert abs(true[1]["face"] - true[1]["audio"]) > HALF_FRAME, (
        "a start taken over from the other stream would be seen"
    )
