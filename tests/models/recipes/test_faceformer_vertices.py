"""FaceFormer on vertices: its published sizes, what the public code computes, targets on rigs, the fit."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.rig_files import head
from helpers.tiny_shards import NUM_MELS, TINY, meta

from models import evaluate, generate, runs, train
from models.data import actors_of, shards_of
from models.draws import Draws
from models.heads import Heads
from models.recipe import Meta
from models.recipes.faceformer import FaceFormer, Model, Options
from pipeline.config import Evaluate, Generate
from pipeline.errors import InputError
from pipeline.formats.rig_file import Rig, load_rig, save_rig
from pipeline.formats.shard_file import open_shards

VERTICES = Options(**TINY, dropout=0, audio="mel", dim=16, target="vertices")
VOCASET, ICT_FACE, UNREAL = 5023, 9409, 24049
"""Vertices of heads: FLAME's, the face of the ICT kit, the paper's."""


@pytest.mark.parametrize(
    ("features", "actors", "dim", "count"),
    [
        (51, 7, 64, 106_547),
        (3 * VOCASET, 8, 64, 2_043_933),
        (3 * ICT_FACE, 7, 64, 3_741_251),
        (3 * UNREAL, 7, 128, 18_840_019),
    ],
)
def test_it_has_the_published_number_of_parameters(features, actors, dim, count):
    with torch.device("meta"):
        network = FaceFormer(features, 768, actors, dim=dim)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def wave(shape: tuple[int, ...], number: int, size: float) -> torch.Tensor:
    """Numbers that look random and are the same everywhere."""
    place = torch.arange(math.prod(shape), dtype=torch.float64)
    return (size * torch.sin(0.7 * (1 + 0.01 * number) * place + number)).reshape(shape)


PUBLIC = {
    51: {
        "frames": {
            0: (-1.074415060, -0.219384896, 0.530595058),
            1: (-1.570478368, -0.215628389, 1.030433401),
            29: (-1.538073942, -0.208511644, 1.005180822),
            30: (-1.488689066, -0.186625746, 0.977789790),
            69: (-1.318675916, -0.069830305, 0.925148147),
        },
        "loss": 0.328802434,
        "gradients": {
            "first.weight": 1.560985183,
            "last.weight": 0.775163619,
            "style.weight": 0.504719769,
        },
    },
    360: {
        "frames": {
            0: (-1.074415060, -2.002076693, -0.373826364),
            1: (-1.365696215, -1.925937410, -0.570716031),
            29: (-1.375632598, -1.916445963, -0.565801587),
            30: (-1.332951247, -1.948868295, -0.572828050),
            69: (-1.246873443, -2.033191842, -0.618944486),
        },
        "loss": 0.212296543,
        "gradients": {
            "first.weight": 0.943406519,
            "last.weight": 0.561779192,
            "style.weight": 0.174639992,
        },
    },
}
"""By width, what EvelynFan/FaceFormer computes at commit dfaea81983665b22b99af336a80574208cfcc099.

In float64 and without dropout, of 768 features of 70 frames in place of its speech encoder, 8 subjects of
whom the second speaks, width 64, period 30, dataset vocaset. Weight i of the names in order here is
wave(shape, i, 0.1), and 1 more where it is a norm's; features are wave(.., 50, 1), the template
wave(.., 60, 3), the frames to learn the template plus wave(.., 70, 0.5). frames: of predict, the first,
middle and last coordinate; loss and gradients (norms): of training with teacher_forcing False and the mean
squared error.
"""


@pytest.mark.parametrize("width", PUBLIC)
def test_it_computes_what_the_public_code_does(width):
    network, public = FaceFormer(width, 768, 8).double().eval(), PUBLIC[width]
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for number, name in enumerate(sorted(parameters)):
            gain = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameters[name].copy_(gain + wave(parameters[name].shape, number, 0.1))
    audio, template = wave((1, 70, 768), 50, 1.0), wave((1, 1, width), 60, 3.0)
    made = network(audio, torch.eye(8, dtype=torch.float64)[[1]]) + template
    for frame, values in public["frames"].items():
        got = made[0, frame, [0, width // 2, width - 1]].detach()
        assert np.allclose(got, values, rtol=0, atol=1e-7), frame
    loss = (made - template - wave((1, 70, width), 70, 0.5)).square().mean()
    assert loss.item() == pytest.approx(public["loss"], abs=1e-8)
    loss.backward()
    for name, norm in public["gradients"].items():
        assert float(parameters[name].grad.norm()) == pytest.approx(norm, rel=1e-6), name


def model_on(rigs, shards, **changes) -> Model:
    """An untrained model with its rigs."""
    opened, stats = shards_of(shards)
    heads, actors = Heads(rigs), actors_of(opened)
    options = VERTICES.model_copy(update=changes)
    described = heads.described(actors, stats["face"])
    model = runs.build("faceformer", options, replace(meta(shards, options), rigs=described)).eval()
    model.heads = heads
    return model


def rig_batch(model: Model, batch: dict, actors=("001", "002", "002", "003")) -> dict:
    return batch | {"rigs": torch.tensor(model.heads.places(actors)).reshape(-1, 2)}


def test_targets_are_offsets_on_each_actors_own_rig(rigs, shards, batch):
    model = model_on(rigs, shards)
    actors = ("001", "002", "002", "003")
    target = model.target(rig_batch(model, batch, actors)) * model.meta.rigs["scale_cm"]
    assert target.shape == (4, 24, 192)
    for item, actor in enumerate(actors):
        rig, weights = load_rig(rigs / f"{actor}.npz"), batch["face"][item // 2, :, item % 2].numpy()
        mesh = rig.neutral + np.einsum("tk,kvc->tvc", weights, rig.deltas)
        assert np.allclose(rig.neutral + target[item].reshape(24, 64, 3).numpy(), mesh, atol=1e-4)
    assert not torch.allclose(target[1], target[2], atol=0.01)


def test_a_neutral_face_errs_by_about_one(rigs, shards, batch):
    """So the scale is that of the data, though it knows of no correlation between weights."""
    model = model_on(rigs, shards)
    batch = rig_batch(model, batch)
    told = model.condition(batch)
    assert torch.equal(model.network(*told), torch.zeros(4, 24, 192)), "it begins as the template"
    loss = model.loss(batch, Draws(0, 0, 2, "cpu"))["loss"].detach()
    assert float(loss) == pytest.approx(1, rel=0.5)
    # of weights that do vary apart it is exact
    rng = np.random.default_rng(0)
    mean, std = rng.uniform(0, 0.5, 51), rng.uniform(0.01, 0.2, 51)
    weights = mean + std * rng.choice([-1, 1], (4000, 51))
    moved = np.tensordot(weights, load_rig(rigs / "001.npz").deltas, 1)
    found = Heads(rigs).described(["001"], {"mean": mean, "std": std})["scale_cm"]
    assert found == pytest.approx(np.sqrt((moved**2).mean()), rel=0.02)


def test_samples_are_the_fit_of_what_the_network_makes(rigs, shards, monkeypatch):
    """Vertices that a rig can show come back as their weights, whatever the blocks."""
    model = model_on(rigs, shards)
    rng, frames = torch.Generator().manual_seed(0), 130
    weights = torch.rand(1, frames, 2, 51, generator=rng)
    told = {"mel": torch.zeros(1, frames, 2, NUM_MELS), "actors": torch.tensor([[0, 2]]), "face": weights}
    told["rigs"] = torch.tensor([model.heads.places(["001", "003"])])
    target = model.target(told)
    monkeypatch.setattr(model.network, "states", lambda *told, report: target)
    blocks = []

    def last(x):
        blocks.append(x.shape[1])
        return x

    monkeypatch.setattr(model.network.last, "forward", last)
    face = model.sample(told, Draws(0, 0, 1, "cpu"), Generate())["face"]
    assert face.shape == weights.shape and face.dtype == torch.float32
    assert torch.allclose(face, weights, atol=1e-3) and blocks == [64, 64, 2]
    lone = torch.zeros_like(target)
    lone[..., 0] = 1  # no shape of the sheet moves one vertex alone
    target = lone
    off = model.sample(told, Draws(0, 0, 1, "cpu"), Generate())["face"]
    rig = load_rig(rigs / "001.npz")
    moved = np.zeros(192)
    moved[0] = model.meta.rigs["scale_cm"]
    best = np.linalg.lstsq(rig.deltas.reshape(51, -1).T.astype(float), moved, rcond=None)[0]
    assert np.allclose(off[0, 0, 0], best, atol=1e-4)


@pytest.fixture(scope="module")
def trained_run(rigs, shards, tmp_path_factory):
    """A run that was trained on vertices."""
    out = tmp_path_factory.mktemp("vertices") / "faceformer_vertices"
    options = VERTICES.model_copy(update={"steps": 130, "learning_rate": 5e-3})
    train.run(recipe="faceformer", shards=shards, out=out, options=options, rigs=rigs)
    return out


def test_it_learns_far_below_the_neutrals_error(trained_run, rigs, shards):
    lines = [json.loads(line) for line in (trained_run / "log.jsonl").read_text().splitlines()]
    neutral = lines[0]["loss"]
    assert 0.5 < neutral < 1.5 and lines[-1]["last_tenth"] < 0.1 * neutral
    described = json.loads((trained_run / "model.json").read_text())
    assert described["rigs"]["num_vertices"] == 64 and described["feature_names"] == ["x", "y", "z"]
    assert "channels predicted: 3 of each of 64 vertices" in (trained_run / "CARD.md").read_text()


def sampled(run, shards, rigs, out, **changes):
    nothing = dict.fromkeys("audio transcripts actions facing actors placement takes".split())
    options = Generate(num_samples=1, device="cpu")
    told = nothing | {"name": "00000000_000", "options": options, "rigs": rigs} | changes
    generate.run(runs=[run], shards=shards, out=out, **told)


@pytest.fixture(scope="module")
def made(trained_run, rigs, shards, tmp_path_factory):
    """The test takes, sampled; actor 004 is in no train take."""
    out = tmp_path_factory.mktemp("made")
    sampled(trained_run, shards, rigs, out)
    return out


def test_samples_are_faces_and_nearer_than_neutral_ones(made, rigs, shards):
    files = sorted((made / "face_arkit").glob("*.npy"))
    assert [path.stem for path in files] == [
        "20240101_001_004", "20240101_002_004", "20240101_002_005", "20240101_004_005",
    ]  # fmt: skip
    shard = open_shards(shards)[1]
    for path in files:
        span = next(span for span in shard.takes if path.stem in span.performances)
        real = np.asarray(shard["face"][span.start_frame : span.stop_frame])
        real = real[:, span.performances.index(path.stem)]
        deltas = load_rig(rigs / f"{path.stem.split('_')[1]}.npz").deltas.reshape(51, -1)
        face = np.load(path)
        assert face.shape == real.shape and face.dtype == np.float32
        error, neutral = (((x @ deltas) ** 2).mean() for x in (face - real, real))
        assert error < 0.3 * neutral


def test_samples_are_evaluated(made, rigs, shards, tmp_path):
    evaluate.run(
        shards=shards,
        generated=[made],
        rows=["vertices"],
        rigs=rigs,
        out_table=tmp_path / "table.csv",
        out_page=tmp_path / "table.html",
        out_faces=tmp_path,
        options=Evaluate(window_frames=48, num_pairs=100),
    )
    lines = (tmp_path / "faces.csv").read_text().splitlines()
    row = next(line for line in lines if line.startswith("vertices,"))
    assert row.startswith("vertices,FaceFormer (Vertex),")


def changed_rig(rigs, folder, actor, change):
    """A copy of the rigs in which one is changed."""
    shutil.copytree(rigs, folder)
    save_rig(folder / f"{actor}.npz", change(load_rig(folder / f"{actor}.npz")))
    return folder


def fewer(rig: Rig) -> Rig:
    return Rig(rig.neutral[:-8], rig.deltas[:, :-8], rig.faces[:-7])


def other_faces(rig: Rig) -> Rig:
    return Rig(rig.neutral, rig.deltas, rig.faces[::-1].copy())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            fewer,
            "004.npz: has 56 vertices, need 64, those that run faceformer_vertices knows; give rigs of one",
        ),
        (
            other_faces,
            "004.npz: has other faces, need those that run faceformer_vertices knows; give rigs of",
        ),
    ],
)
def test_rigs_of_another_topology_are_one_line_before_anything_is_sampled(
    trained_run, rigs, shards, tmp_path, change, told
):
    folder = changed_rig(rigs, tmp_path / "rigs", "004", change)
    with pytest.raises(InputError, match=told):
        sampled(trained_run, shards, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=told.partition(", need")[0]) as caught:
        train.run(recipe="faceformer", shards=shards, out=tmp_path / "run", options=VERTICES, rigs=folder)
    assert "those of 001.npz" in str(caught.value)


def test_missing_rigs_are_one_line(trained_run, rigs, shards, tmp_path):
    folder = tmp_path / "rigs"
    shutil.copytree(rigs, folder)
    (folder / "004.npz").unlink()
    with pytest.raises(InputError, match=r"004\.npz: no such file; every actor needs a rig"):
        sampled(trained_run, shards, folder, tmp_path / "out")
    with pytest.raises(InputError, match=r"run faceformer_vertices: makes vertices.*\(--rigs\)"):
        sampled(trained_run, shards, None, tmp_path / "out")
    with pytest.raises(InputError, match=r"train run: it learns vertices.*\(--rigs\)"):
        train.run(recipe="faceformer", shards=shards, out=tmp_path / "run", options=VERTICES)
    with pytest.raises(InputError, match=r"lacks the actors' rigs.*\(--rigs\)"):
        runs.load(trained_run).model.sample(
            {"mel": torch.zeros(1, 2, 2, NUM_MELS), "actors": torch.tensor([[0, 1]])},
            Draws(0, 0, 1, "cpu"),
            Generate(),
        )


def test_the_command_line_ends_with_exit_code_2(trained_run, shards, rigs, tmp_path, capsys):
    told = ["--runs", str(trained_run), "--shards", str(shards), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        generate.main([*told, "--rigs", str(tmp_path / "nowhere")])
    assert ended.value.code == 2 and "no such file; every actor needs a rig" in capsys.readouterr().err


def test_one_rig_may_be_everybodys(trained_run, rigs, shards, tmp_path):
    heads = Heads(rigs / "001.npz")
    assert heads.places(["001", "002", "001"]) == [0, 0, 0] and len(heads.rigs) == 1
    sampled(trained_run, shards, rigs / "001.npz", tmp_path, takes=["20240101_005"])
    assert len(list((tmp_path / "face_arkit").iterdir())) == 2


def test_weights_belong_to_the_shapes_that_they_learned_on(rigs, shards, tmp_path):
    def hashed(folder):
        opened, stats = shards_of(shards)
        described = Heads(folder).described(actors_of(opened), stats["face"])
        told = replace(meta(shards, VERTICES), rigs=described)
        return train.run_hash("faceformer", VERTICES, told, opened)

    own = hashed(rigs)
    wide = changed_rig(
        rigs, tmp_path / "wide", "002", lambda rig: Rig(rig.neutral, 2 * rig.deltas, rig.faces)
    )
    stranger = changed_rig(
        rigs, tmp_path / "s", "004", lambda rig: Rig(rig.neutral, 2 * rig.deltas, rig.faces)
    )
    assert hashed(wide) != own and hashed(stranger) == own


def test_a_start_keeps_its_scale_and_needs_its_topology(trained_run, rigs, shards, tmp_path):
    wide = changed_rig(
        rigs, tmp_path / "wide", "002", lambda rig: Rig(rig.neutral, 2 * rig.deltas, rig.faces)
    )
    told = {"recipe": "faceformer", "shards": shards, "start": trained_run}
    options = VERTICES.model_copy(update={"steps": 2})
    train.run(out=tmp_path / "on", options=options, rigs=wide, **told)
    first, then = (
        json.loads((run / "model.json").read_text())["rigs"] for run in (trained_run, tmp_path / "on")
    )
    assert then["scale_cm"] == first["scale_cm"] and then["shapes"] != first["shapes"]
    small = tmp_path / "small"
    small.mkdir()
    for path in rigs.iterdir():
        save_rig(small / path.name, fewer(load_rig(path)))
    with pytest.raises(InputError, match=r"learned on rigs of 64 vertices, those of this run have 56"):
        train.run(out=tmp_path / "off", options=options, rigs=small, **told)
    with pytest.raises(InputError, match="makes vertices of rigs, need no vertices, as this run does"):
        weights = options.model_copy(update={"target": "weights"})
        train.run(out=tmp_path / "off", options=weights, **told)


@pytest.mark.parametrize(
    "fault",
    [
        lambda d: d | {"rigs": None},
        lambda d: d | {"rigs": d["rigs"] | {"num_vertices": 10**12}},
        lambda d: d | {"rigs": d["rigs"] | {"num_vertices": 63}},
        lambda d: d | {"rigs": d["rigs"] | {"scale_cm": 0}},
        lambda d: d | {"rigs": d["rigs"] | {"faces": "../x"}},
        lambda d: d | {"options": d["options"] | {"target": "weights"}},
    ],
)
def test_what_model_json_says_of_rigs_is_checked(trained_run, tmp_path, fault):
    run = shutil.copytree(trained_run, tmp_path / "run")
    read = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps(fault(read)))
    with pytest.raises(InputError) as caught:
        runs.load(run)
    assert "model.json" in str(caught.value) and "\n" not in str(caught.value)


def test_the_sheet_has_room_for_all_shapes():
    """What these tests build on: its 51 shapes can be told apart."""
    neutral, deltas = head()
    assert np.linalg.matrix_rank(deltas.reshape(51, -1)) == 51 and neutral.shape == (64, 3)
    assert Meta({}, [], []).rigs is None
