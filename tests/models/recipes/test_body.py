"""Bodies: which column is what, what each half is told, and that both halves give a whole body again."""

from dataclasses import replace

import pytest
import torch
from helpers.tiny_shards import JOINTS, LOWER, NUM_MELS, TEXT_WIDTH, UPPER, meta

from models import evaluate, generate, runs, sampling, scores, train
from models.channels import PAPER_ROOT, RELATION_NAMES, ROOT_NAMES
from models.data import shards_of, takes_of
from models.draws import Draws
from models.recipe import Meta
from pipeline.config import Evaluate, Generate
from pipeline.errors import InputError
from pipeline.motion.joints import RELEASE_JOINTS
from pipeline.motion.mirror import mirrored_columns

OWN = NUM_MELS + TEXT_WIDTH + 3
"""What is told of one actor, where words are not narrowed."""
LOWER = LOWER.model_copy(update={"text_channels": 0, "mel_channels": 0})


@pytest.fixture
def make(shards):
    def build(joints: str, **chosen):
        options = LOWER.model_copy(update={"joints": joints} | chosen)
        return runs.build("body", options, meta(shards, options))

    return build


@pytest.mark.parametrize("people", ["two", "one"])
def test_a_sample_is_the_inverse_of_the_target(batch, make, monkeypatch, people):
    """Where the sampler gives what training aims at, the real bodies come out.

    That holds for two halves, and for one network; for both actors together, and for each alone.
    """
    lower, upper, both = (make(joints, people=people) for joints in ("lower", "upper", "all"))
    together = 2 if people == "two" else 1
    for model in (lower, upper):
        assert model.target(batch).shape == (4 // together, 24, len(model.feature_names))
    still = sum(std < LOWER.min_std for std in lower.meta.stats["body"]["std"])
    own = len(lower.feature_names) + len(upper.feature_names)
    placed = 8 if people == "two" else 4
    assert still and own == together * (3 * len(JOINTS) - still + placed), "all that moves, and no more"
    assert sorted(both.feature_names) == sorted(lower.feature_names + upper.feature_names)

    def sample(model, told):
        monkeypatch.setattr(sampling, "long_take", lambda *_, **__: model.target(batch))
        sampled = model.sample(told, torch.Generator(), Generate())
        seen = {"relation"} if model.options.joints != "lower" and people == "two" else set()
        assert sampled.keys() == {*model.options.makes} | seen
        return sampled

    told = {key: value for key, value in batch.items() if key not in ("body", "relative", "relation")}
    of_halves = sample(upper, told | sample(lower, told))
    for sampled in (of_halves, sample(both, told)):
        assert torch.allclose(sampled["body"], batch["body"], atol=1e-5)
        assert torch.allclose(sampled["relative"], batch["relative"], atol=1e-4)
        if people == "two":
            assert torch.allclose(sampled["relation"], batch["relation"], atol=1e-3)


@pytest.mark.parametrize("joints", ["lower", "upper", "all"])
def test_an_actor_alone_is_told_nothing_of_the_other(batch, make, joints):
    """Items 2 b and 2 b + 1 are the actors of window b: what one says or does changes the own item alone."""
    model = make(joints, people="one", condition_dropout=0.5, part_dropout=0.3)
    assert not any(name.startswith(("a.", "b.")) for name in model.feature_names)
    (told,), target = model.condition(batch), model.target(batch)
    assert len(told) == len(target) == 4 and told.shape[-1] == model.network.blocks[0].condition.in_features
    both = make(joints, relation=False)
    (side_by_side,), target_of_both = both.condition(batch), both.target(batch)
    for b in range(2):
        assert torch.equal(torch.cat([told[2 * b], told[2 * b + 1]], -1), side_by_side[b])
        assert torch.equal(torch.cat([target[2 * b], target[2 * b + 1]], -1), target_of_both[b])
    for name in ("mel", "text", "action", "body", "relative"):
        value = batch[name].clone()
        value[1, :, 1] = (value[1, :, 1] + 1) % 3 if name == "action" else value[1, :, 1] + 1
        changed = batch | {name: value}
        (again,) = model.condition(changed)
        assert torch.equal(again[:3], told[:3]) and torch.equal(model.target(changed)[:3], target[:3])
        assert not (torch.equal(again[3], told[3]) and torch.equal(model.target(changed)[3], target[3])), name
    loss = model.loss(batch, Draws(0, 0, 2, "cpu"))["loss"]
    loss.backward()
    assert torch.isfinite(loss)


def test_an_actor_alone_moves_alike_whatever_the_other_says(batch, make):
    """Long takes in windows, the lower body first; with both together the partner's voice changes it."""
    settings = Generate(window_frames=16, overlap_frames=4)
    other = batch | {"mel": torch.stack([batch["mel"][:, :, 0], batch["mel"][:, :, 1] + 1], 2)}
    for people, changed in (("one", [False, True]), ("two", [True, True])):
        torch.manual_seed(0)
        lower, upper = (make(joints, people=people) for joints in ("lower", "upper"))
        for model in (lower, upper):
            torch.nn.init.normal_(model.network.last.weight, std=0.1)
        made = []
        for told in (batch, other):
            legs = lower.sample(told, Draws(0, 0, 2, "cpu"), settings)
            made.append(upper.sample(told | legs, Draws(0, 1, 2, "cpu"), settings))
        for name, shape in (("body", 3 * len(JOINTS)), ("relative", 4)):
            one, two = (sample[name] for sample in made)
            assert one.shape == (2, 24, 2, shape)
            assert [not torch.equal(one[:, :, k], two[:, :, k]) for k in range(2)] == changed, (people, name)


def test_a_run_of_one_actor_at_a_time_is_a_row(shards, tmp_path):
    """Trained, read again, sampled as BVHs and scored, without any other run."""
    options = LOWER.model_copy(update={"joints": "all", "people": "one", "text_channels": 2, "steps": 12})
    train.run(recipe="body", shards=shards, out=tmp_path / "lda", options=options)
    run = runs.load(tmp_path / "lda")
    assert run.model.parts == 2 and len(run.model.feature_names) == 3 * len(JOINTS) - 3 + 4
    nothing = dict.fromkeys("takes audio transcripts actions facing actors placement".split())
    sampling_options = Generate(num_samples=2, window_frames=48, overlap_frames=16, device="cpu")
    generate.run(
        runs=[tmp_path / "lda"],
        shards=shards,
        out=tmp_path / "made",
        name="",
        options=sampling_options,
        **nothing,
    )
    assert len(list((tmp_path / "made" / "bvhs").iterdir())) == 4
    assert not (tmp_path / "made" / "face_arkit").exists()
    row = evaluate.table(shards, {"lda": tmp_path / "made"}, None, Evaluate(window_frames=40)).rows["lda"]
    known = (scores.BODIES | scores.SPACE).keys() - {"actions_agree"}  # these skeletons have no toes
    assert all(row[name] is not None for name in known) and row["Div_sample"] > 0
    assert row["LVE_cm2"] is None


def test_feature_names_say_what_a_column_is(batch, make):
    lower = make("lower")
    stats = lower.meta.stats["body"]
    column = lower.feature_names.index("b.LeftLeg_y")
    own = 3 * JOINTS.index("LeftLeg") + 1
    want = (batch["body"][..., 1, own] - stats["mean"][own]) / stats["std"][own]
    assert torch.allclose(lower.target(batch)[..., column], want, atol=1e-4)
    assert lower.feature_names[-4:] == ["b.dx", "b.dz", "b.dheading", "b.y"]
    assert lower.feature_names[-8:-4] == [f"b.{name}" for name in RELATION_NAMES]
    alone = make("lower", relation=False)
    assert alone.feature_names == [name for name in lower.feature_names if "partner" not in name]
    assert "relation" not in make("all", relation=False).sample(batch, Draws(0, 0, 2, "cpu"), Generate())


def test_an_upper_body_is_told_the_lower_ones_too(batch, make):
    (lower,), (upper,) = make("lower").condition(batch), make("upper").condition(batch)
    assert lower.shape[-1] == make("lower").network.blocks[0].condition.in_features == 2 * OWN
    assert upper.shape[-1] == make("upper").network.blocks[0].condition.in_features
    upper, lower = upper.unflatten(2, (2, -1)), lower.unflatten(2, (2, -1))
    assert torch.equal(upper[..., :OWN], lower)
    real = make("lower").target(batch)
    assert torch.equal(upper[..., OWN:].flatten(2), real), "the real ones in training"
    made = torch.randn_like(real)
    (upper,) = make("upper").condition(batch | {"lower": made})
    told = upper.unflatten(2, (2, -1))[..., OWN:].flatten(2)
    assert torch.equal(told, made), "in generation those that another run made"


def test_channels_that_do_not_move_are_left_out_and_get_their_mean(batch, make, shards, monkeypatch):
    model = make("all")
    stats = model.meta.stats["body"]
    still = [c for c, std in enumerate(stats["std"]) if std < model.options.min_std]
    names = [f"{JOINTS[c // 3]}_{'xyz'[c % 3]}" for c in still]
    assert names and not {name.removeprefix("a.") for name in model.feature_names} & set(names)
    monkeypatch.setattr(sampling, "long_take", lambda *_, **__: torch.randn_like(model.target(batch)))
    body = model.sample(batch, Draws(0, 0, 2, "cpu"), Generate())["body"]
    assert torch.allclose(body[..., still], torch.tensor(stats["mean"])[still].expand_as(body[..., still]))


def release_meta() -> Meta:
    """What a model knows of a train split in which each joint of the release moves."""
    widths = {
        "body": 180,
        "relative_root": 4,
        "relation": 4,
        "lower_foot": 1,
        "closest": 1,
        "mel": 8,
        "text": 6,
    }
    stats = {name: {"mean": [0.1] * width, "std": [0.5] * width} for name, width in widths.items()}
    return Meta(stats, list(RELEASE_JOINTS), ["001"])


def test_the_papers_representation_has_316_channels(monkeypatch):
    """46 of lower and 270 of upper bodies; what is left out has its mean, and does not turn."""
    meta, rng = release_meta(), torch.Generator().manual_seed(0)
    models = {
        joints: runs.build(
            "body", LOWER.model_copy(update={"joints": joints, "representation": "paper"}), meta
        )
        for joints in ("lower", "upper", "all")
    }
    assert [len(models[joints].feature_names) for joints in ("lower", "upper", "all")] == [46, 270, 316]
    assert models["lower"].feature_names[-2:] == [f"b.{name}" for name in PAPER_ROOT]
    body, relative = (torch.randn(1, 9, 2, width, generator=rng) for width in (180, 4))
    told = {"body": body, "relative": relative}

    def sample(model, told):
        monkeypatch.setattr(sampling, "long_take", lambda *_, **__: model.target(told))
        return model.sample(told, torch.Generator(), Generate())

    halves = sample(models["upper"], told | sample(models["lower"], told))
    for made in (halves, sample(models["all"], told)):
        left_out = ("ToeBase", "HandRing", "HandIndex", "HandPinky")
        kept = [not name.endswith(left_out) for name in RELEASE_JOINTS]
        kept = torch.tensor(kept).repeat_interleave(3)
        assert int(kept.sum()) == 156
        assert torch.allclose(made["body"][..., kept], body[..., kept], atol=1e-5)
        assert torch.allclose(made["body"][..., ~kept], torch.tensor(0.1))
        assert torch.allclose(made["relative"][..., :2], relative[..., :2], atol=1e-5)
        assert (made["relative"][..., 2] == 0).all() and torch.allclose(
            made["relative"][..., 3], torch.tensor(0.1)
        )
    both = LOWER.model_copy(update={"joints": "all", "representation": "paper", "root_values": ROOT_NAMES})
    assert len(runs.build("body", both, meta).feature_names) == 320


def test_halves_of_two_representations_do_not_fit(batch, make):
    lower, upper = make("lower", root_values=("y", "dz")), make("upper")
    assert lower.feature_names[-2:] == ["b.dz", "b.y"]
    named = make("lower", lower_joints=("LeftLeg",), root_values=("y",), relation=False).feature_names
    assert named == [
        f"{actor}.{name}" for actor in "ab" for name in ("LeftLeg_x", "LeftLeg_y", "LeftLeg_z", "y")
    ]
    legs = lower.sample(batch, Draws(0, 0, 2, "cpu"), Generate(window_frames=16, overlap_frames=4))
    with pytest.raises(InputError, match="got a lower one of .* channels, need the .* same representation"):
        upper.sample(batch | legs, Draws(0, 0, 2, "cpu"), Generate())


def test_an_upper_body_without_a_lower_one_is_told(batch, make):
    assert UPPER.needs == LOWER.makes == ("lower",) and LOWER.needs == ()
    with pytest.raises(InputError, match="an upper body needs a lower one"):
        make("upper").sample(batch, torch.Generator(), Generate())


def test_mirrored_copies_are_bodies_and_roots_in_the_mirror(batch, make, shards):
    """Half of the windows, both actors at once, and what is said stays."""
    opened, _ = shards_of(shards)
    _, span = takes_of(opened, "train")[0]
    skeleton = opened[0].skeleton(span.performances[0])
    columns, signs = mirrored_columns(skeleton.names, skeleton.offsets_cm)
    model = make("lower")
    model.options = model.options.model_copy(update={"swap": False, "mirror": True, "legs_weight": 0})
    model.prepare({"001": skeleton})
    image = batch["body"][..., columns] * torch.tensor(signs, dtype=torch.float32)
    root = batch["relative"] * torch.tensor([-1.0, 1.0, -1.0, 1.0])
    partner = batch["relation"] * torch.tensor([-1.0, 1.0, -1.0, 1.0])
    seen = set()
    for step in range(20):
        varied = model.varied(batch, Draws(0, step, 2, "cpu"))
        assert all(varied[name] is batch[name] for name in ("mel", "text", "action", "actors"))
        for item in range(2):
            turned = torch.equal(varied["body"][item], image[item])
            assert torch.equal(varied["relative"][item], (root if turned else batch["relative"])[item])
            assert torch.equal(varied["relation"][item], (partner if turned else batch["relation"])[item])
            assert turned or torch.equal(varied["body"][item], batch["body"][item])
            seen.add(turned)
    assert seen == {True, False}


def test_skeletons_that_have_no_mirror_image_are_refused(make, shards):
    opened, _ = shards_of(shards)
    _, span = takes_of(opened, "train")[0]
    skeleton = opened[0].skeleton(span.performances[0])
    model = make("lower")
    model.options = model.options.model_copy(update={"mirror": True, "legs_weight": 0})
    offsets = skeleton.offsets_cm.copy()
    offsets[skeleton.names.index("LeftLeg")] = [0, 0, 42]
    with pytest.raises(InputError, match="alike on both sides"):
        model.prepare({"001": replace(skeleton, offsets_cm=offsets)})
