"""Relationship and emotion as conditions: what is known, what is not, training, guidance and generation."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from helpers.tiny_shards import FACE, LOWER, RUNS, UPPER, meta

from models import data, generate, runs, train
from models.denoising import Model
from models.draws import Draws
from models.labels import Labels, known_labels, number_of, train_labels
from models.sampling import long_take
from pipeline.config import Generate
from pipeline.errors import InputError
from pipeline.formats.shard_index import read_index

BOTH = ("relationship", "emotion")
OF_TAKES = {
    "20240101_001": ("friends", "joy"),
    "20240101_002": ("strangers", "anger"),
    "20240101_003": ("friends", ""),
    "20240101_004": ("friends", "grief"),
    "20240101_005": ("", "joy"),
}
"""Grief is in no train take."""
STEPS = {"steps": 2, "told": BOTH, "part_dropout": 0.3}


@pytest.fixture(scope="module")
def labelled(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled") / "shards"
    shutil.copytree(shards, folder)
    write_labels(folder, OF_TAKES)
    return folder


def write_labels(folder, of_takes):
    rows = [row | dict(zip(BOTH, of_takes[row["take"]])) for row in read_index(folder / "index.parquet")]
    pq.write_table(pa.Table.from_pylist(rows), folder / "index.parquet")


@pytest.fixture(scope="module")
def told_runs(labelled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    for name, (recipe, options) in RUNS.items():
        train.run(recipe=recipe, shards=labelled, out=folder / name, options=options.model_copy(update=STEPS))
    return folder


def built(shards, options, known) -> Model:
    options = options.model_copy(update={"told": tuple(known)})
    own = meta(shards, options)
    recipe = "face" if options.makes == ("face",) else "body"
    torch.manual_seed(0)
    described = runs.meta_of(options, own.stats, own.joint_names, own.actors, labels=known)
    model = runs.build(recipe, options, described).eval()
    torch.nn.init.normal_(model.network.last.weight)
    for table in model.network.labels.tables.values():
        torch.nn.init.normal_(table)
    return model


KNOWN = {"relationship": ["friends", "strangers"], "emotion": ["anger", "joy"]}


def test_known_labels_are_those_of_train_takes(labelled):
    shards = data.open_shards(labelled)
    labels = train_labels(labelled, shards, BOTH)
    assert labels["emotion"] == {take: own[1] for take, own in OF_TAKES.items()}
    assert known_labels(labels, ["20240101_001", "20240101_002", "20240101_003"]) == KNOWN
    assert [number_of(label, KNOWN["emotion"]) for label in ("anger", "joy", "grief", "")] == [0, 1, -1, -1]
    assert train_labels(labelled, shards, ()) == {}


def test_an_index_without_labels_is_named(shards):
    with pytest.raises(InputError, match="no train take has a label for emotion.*--dataset"):
        train_labels(shards, data.open_shards(shards), ("emotion",))


def test_an_embedding_for_each_label_and_a_null_for_the_unknown():
    labels = Labels({"emotion": ["anger", "joy"], "relationship": ["friends"]}, 4, std=1.0)
    emotion, relationship = labels.tables["emotion"], labels.tables["relationship"]
    assert emotion.shape == (3, 4) and relationship.shape == (2, 4)
    made = labels(torch.tensor([[1, 0], [-1, -1]]))
    assert torch.equal(made[0], torch.stack([emotion[1], relationship[0]]))
    assert torch.equal(made[1], torch.stack([emotion[2], relationship[1]]))


@pytest.mark.parametrize("options", [FACE, LOWER, UPPER], ids=["face", "lower", "upper"])
def test_a_network_hears_each_label_and_its_null_learns(labelled, batch, options):
    model = built(labelled, options, KNOWN)
    base = batch | {"relationship": torch.tensor([0, 1]), "emotion": torch.tensor([1, 0])}
    x = model.encode(model.target(batch))
    step = torch.full((len(x),), 5)
    with torch.no_grad():

        def made(told, untold=None):
            return model.denoise(x, step, *model.condition(told, untold))

        for name in BOTH:
            unknown = base | {name: torch.tensor([-1, -1])}
            changed = made(base | {name: 1 - base[name]})
            assert not torch.allclose(changed, made(base), atol=1e-4)
            assert not torch.allclose(made(unknown), made(base), atol=1e-4)
            every = torch.ones(len(x), 1, dtype=torch.bool)
            assert torch.equal(made(base, {name: every}), made(unknown))
            assert torch.equal(made({key: own for key, own in base.items() if key != name}), made(unknown))
        none = model.untold(torch.ones(len(x), dtype=torch.bool))
        assert set(BOTH) <= set(none) and set(none) <= set(model.conditions)
    model.options = model.options.model_copy(update={"condition_dropout": 0.5})
    for number in range(4):
        model.loss(base, Draws(0, number, 2, "cpu"))["loss"].backward()
    grads = [table.grad.abs().sum(1) for table in model.network.labels.tables.values()]
    assert any(grad[-1] > 0 for grad in grads) and any(grad[:-1].any() for grad in grads)


def test_without_labels_a_network_is_what_it_was(labelled):
    for options in (FACE, LOWER):
        options = options.model_copy(update={"told": ()})
        model = runs.build("face" if options.makes == ("face",) else "body", options, meta(labelled, options))
        assert not any("labels" in name for name in model.state_dict())


def test_single_conditions_are_guided_by_name(labelled, batch):
    """Scale 0 takes a condition away, the style too; 1 changes nothing."""
    model = built(labelled, FACE, KNOWN)
    told = {name: batch[name] for name in ("mel", "facing", "actors")}
    told |= {"relationship": torch.tensor([0, 1]), "emotion": torch.tensor([1, 0])}
    untaught = model.options
    model.options = untaught.model_copy(update={"part_dropout": 0.1, "sample_steps": 2})

    def sampled(changed=None, **scales):
        with torch.no_grad():
            return long_take(
                model, told | (changed or {}), Draws(0, 0, 2, "cpu"), options=Generate(guidance_of=scales)
            )

    base = sampled()
    for name, other in {
        "style": {"actors": torch.tensor([[-1, -1], [-1, -1]])},
        "emotion": {"emotion": torch.tensor([-1, -1])},
        "relationship": {"relationship": torch.tensor([-1, -1])},
    }.items():
        assert torch.equal(sampled(**{name: 1.0}), base)
        assert torch.allclose(sampled(**{name: 0.0}), sampled(other), atol=1e-4)
        assert not torch.allclose(sampled(**{name: 2.0}), base, atol=1e-4)
    with pytest.raises(InputError, match="this model is told audio, style, relationship, emotion"):
        sampled(colour=2.0)


def test_weights_depend_on_the_labels_that_are_told(labelled, told_runs, tmp_path):
    described = runs.load(told_runs / "face").description
    assert described["labels"] == KNOWN
    opened, stats = data.shards_of(labelled)
    options = FACE.model_copy(update=STEPS)
    own = runs.meta_of(
        options, stats, opened[0].joint_names, data.actors_of(opened), labels=described["labels"]
    )
    hashes = set()
    for emotion in ("joy", "anger"):
        labels = train_labels(labelled, opened, BOTH)
        labels["emotion"]["20240101_001"] = emotion
        hashes.add(train.run_hash("face", options, own, opened, labels=labels))
    assert len(hashes) == 2


def test_a_model_whose_labels_do_not_fit_is_refused(told_runs, tmp_path):
    import json

    shutil.copytree(told_runs / "face", tmp_path / "face", ignore=shutil.ignore_patterns("checkpoints"))
    path = tmp_path / "face" / "model.json"
    whole = json.loads(path.read_text())
    for labels, message in (
        ({"emotion": ["joy"]}, "its labels are of emotion, it is told relationship, emotion"),
        (KNOWN | {"emotion": ["joy", "joy"]}, "a label stands twice in labels.emotion"),
        (KNOWN | {"emotion": ["joy"]}, "labels.tables.emotion"),
    ):
        path.write_text(json.dumps(whole | {"labels": labels}))
        with pytest.raises(InputError, match=message):
            runs.load(tmp_path / "face")


def test_test_takes_are_told_their_labels(labelled, told_runs, tmp_path, caplog):
    arguments = dict.fromkeys("audio transcripts actions facing actors placement".split())
    arguments |= {"name": "00000000_000", "options": Generate(num_samples=1, device="cpu")}
    arguments |= {"shards": labelled, "takes": None, "runs": [told_runs]}
    generate.run(**arguments, out=tmp_path / "one")
    assert "take 20240101_004: its emotion is 'grief', which is in no train take" in caplog.text
    assert "they know anger, joy" in caplog.text
    changed = tmp_path / "shards"
    shutil.copytree(labelled, changed)
    write_labels(changed, OF_TAKES | {"20240101_005": ("", "anger")})
    generate.run(**arguments | {"shards": changed}, out=tmp_path / "two")
    for name, same in {"20240101_001_004": True, "20240101_002_005": False}.items():
        one, two = (np.load(tmp_path / k / "face_arkit" / f"{name}.npy") for k in ("one", "two"))
        assert np.array_equal(one, two) == same


def test_voices_are_told_labels_by_flags(told_runs, trained, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("pipeline.shards.text.embed_words", lambda words, **_: np.ones((len(words), 6)))
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    (tmp_path / "a.json").write_text('{"words": []}')
    arguments = dict.fromkeys("shards takes actions facing actors placement".split())
    arguments |= {"audio": [tmp_path / "a.wav"], "transcripts": [tmp_path / "a.json"], "runs": [told_runs]}
    arguments |= {"name": "00000000_000", "options": Generate(device="cpu")}
    made = {}
    for emotion in (None, "joy", "anger"):
        generate.run(**arguments, emotion=emotion, out=tmp_path / str(emotion))
        made[emotion] = (tmp_path / str(emotion) / "face_arkit" / "00000000_001_000.npy").read_bytes()
    assert len(set(made.values())) == 3
    assert "the models are told no emotion; --emotion takes one out of anger, joy" in caplog.text
    for changed, message in (
        ({"emotion": "grief"}, "--emotion: got 'grief', need one out of anger, joy"),
        ({"runs": [trained.runs], "emotion": "joy"}, "--emotion: got 'joy', and these models are told none"),
        ({"audio": None, "shards": trained.shards, "emotion": "joy"}, "--emotion: test takes have their own"),
    ):
        with pytest.raises(InputError, match=message):
            generate.run(**arguments | {"out": tmp_path / "x"} | changed)
    assert not (tmp_path / "x").exists()
