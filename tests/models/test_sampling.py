"""Samplers: steps of DDIM, a known distribution found, guidance, and windows that agree on a long take."""

import numpy as np
import pytest
import torch
from helpers.tiny_shards import voice
from pydantic import ValidationError

from models import diffusion, runs, sampling
from models.diffusion import Diffusion
from models.draws import Draws
from models.metrics import largest_jump
from pipeline.config import Generate
from pipeline.errors import InputError

LDA = diffusion.linear_betas(150)
DIFFSPEAKER = diffusion.scaled_linear_betas(1000)
SCHEDULES = {
    "linear": LDA,
    "scaled": DIFFSPEAKER,
    "cosine": diffusion.cosine_betas(150),
    "cosine_1000": diffusion.cosine_betas(1000),
    "short": diffusion.linear_betas(4),
}


def test_ddim_steps():
    steps = sampling.ddim_steps(Diffusion(DIFFSPEAKER), 50)
    assert len(steps) == 50 and steps[:2] == [981, 961] and steps[-2:] == [21, 1]
    assert sampling.ddim_steps(Diffusion(DIFFSPEAKER), 1000) == list(range(999, -1, -1))


@pytest.mark.parametrize("betas", SCHEDULES.values(), ids=SCHEDULES)
def test_ddim_takes_as_many_steps_as_are_asked_for(betas):
    engine = Diffusion(betas)
    usable = sampling.usable_steps(engine)
    assert (engine.alpha_bar[:usable] >= sampling.MIN_SIGNAL).all()
    assert (engine.alpha_bar[usable:] < sampling.MIN_SIGNAL).all()
    for asked in range(1, len(betas)):
        steps = sampling.ddim_steps(engine, asked)
        num_steps = min(asked, usable)
        assert len(steps) == num_steps and usable > steps[0] and steps[-1] == (asked < usable)
        gaps = [a - b for a, b in zip(steps, steps[1:])]
        spacing = usable / num_steps
        assert all(max(spacing - 1, 0) < gap < spacing + 1 for gap in gaps)
        assert usable - steps[0] <= spacing + 1, "no step of the noisy end is left out beyond the spacing"


def test_fewer_steps_than_asked_for_are_told_once(caplog):
    sampling._say_fewer.cache_clear()
    engine, calls = Diffusion(LDA, prediction="clean"), []

    def network(x, step):
        calls.append(int(step[0]))
        return x

    usable = sampling.usable_steps(engine)
    for asked, want in ((usable, usable), (100, usable), (100, usable), (150, 150)):
        calls.clear()
        sampling.sample(engine, network, (4, 2), Draws(0, 0, 1, "cpu"), num_steps=asked)
        assert len(set(calls)) == len(calls) == want
    assert [record.message for record in caplog.records] == [
        f"sample_steps 100: DDIM takes {usable} steps, for the others of this schedule's 150 are noise (less"
        f" than 0.001 of the signal's variance); {usable} or less is done as asked, 150 is the ancestral"
        " sampler"
    ]


@pytest.mark.parametrize("prediction", ["noise", "clean"])
@pytest.mark.parametrize("betas", [LDA, DIFFSPEAKER], ids=["linear", "scaled"])
def test_a_perfect_network_gives_back_the_clean_sample(prediction, betas):
    engine = Diffusion(betas, prediction=prediction)
    clean = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def perfect(x, step):
        signal, level = engine.signal_and_noise(step, x)
        return clean if prediction == "clean" else (x - signal * clean) / level

    start = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(sampling.ddim(engine, perfect, start, num_steps=10), clean, atol=1e-6)
    ancestral = sampling.ddpm(engine, perfect, start, Draws(2, 0, 1, "cpu"))
    assert torch.allclose(ancestral, clean, atol=1e-6)


@pytest.mark.parametrize("num_steps, sampler", [(150, "ddim"), (25, "ddim"), (25, "dpm++"), (10, "dpm++")])
def test_samplers_find_a_gaussian(num_steps, sampler):
    """For data N(2, 0.25) the best prediction of the noise is known in closed form.

    Coarse steps leave a bias that is the samplers' own: the ancestral variance is the lower of the two bounds
    of Ho et al., and DDIM starts where 3 % of the signal is still missing.
    """
    engine = Diffusion(LDA)

    def best(x, step):
        signal, level = engine.signal_and_noise(step, x)
        return level * (x - signal * 2) / (signal**2 * 0.25 + level**2)

    x = sampling.sample(
        engine, best, (1, 1), Draws(0, 0, 1, "cpu").split(4000), num_steps=num_steps, sampler=sampler
    )
    assert float(x.mean()) == pytest.approx(2, abs=0.05)
    assert float(x.std()) == pytest.approx(0.5, abs=0.06)


def exact_end(engine, x, mean, variance, t):
    """Where the probability-flow ODE of N(mean, variance) carries x from a step: x_0."""
    bar = float(engine.alpha_bar[t])
    return mean + (x - bar**0.5 * mean) * (variance / (bar * variance + 1 - bar)) ** 0.5


@pytest.mark.parametrize("betas", [DIFFSPEAKER, SCHEDULES["cosine_1000"]], ids=["scaled", "cosine"])
def test_the_second_order_sampler_is_nearer_to_the_exact_path(betas):
    """The path is known in closed form for a Gaussian. 10 steps are nearer to it than 40 of DDIM."""
    engine = Diffusion(betas, prediction="clean")

    def best(x, step):
        signal, level = engine.signal_and_noise(step, x)
        return 2 + signal * 0.25 * (x - signal * 2) / (signal**2 * 0.25 + level**2)

    x = torch.linspace(-2, 2, 41, dtype=torch.float64).reshape(1, 41, 1)
    errors = {}
    for sampler, steps_of in ((sampling.ddim, sampling.ddim_steps), (sampling.dpm, sampling.even_steps)):
        for num_steps in (10, 20, 40):
            made = sampler(engine, best, x, num_steps=num_steps)
            end = exact_end(engine, x, 2, 0.25, steps_of(engine, num_steps)[0])
            errors[sampler.__name__, num_steps] = float((made - end).abs().max())
    for num_steps in (10, 20, 40):
        assert errors["dpm", num_steps] < 0.25 * errors["ddim", num_steps], errors
    assert errors["dpm", 10] < errors["ddim", 40], errors


@pytest.mark.parametrize("betas", SCHEDULES.values(), ids=SCHEDULES)
def test_even_steps_are_as_many_as_are_asked_for(betas):
    engine = Diffusion(betas)
    usable = sampling.usable_steps(engine)
    for asked in range(1, min(len(betas), 80)):
        steps = sampling.even_steps(engine, asked)
        assert len(steps) == min(asked, usable) and len(set(steps)) == len(steps)
        assert steps == sorted(steps, reverse=True) and steps[0] == usable - 1
        assert steps[-1] == (asked < usable) or asked == 1
    spread = sampling.even_steps(Diffusion(DIFFSPEAKER), 6)
    bar = Diffusion(DIFFSPEAKER).alpha_bar[spread]
    gaps = (bar.log() - (1 - bar).log()).diff()
    assert float(gaps.max() / gaps.min()) < 1.2


def test_legacy_ddim_is_a_refinement_of_x_0_and_a_little_too_large():
    engine = Diffusion(DIFFSPEAKER, prediction="clean")
    clean = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen = []

    def network(x, step):
        seen.append((int(step[0]), x.clone()))
        return clean

    made = sampling.legacy_ddim(engine, network, torch.randn_like(clean), num_steps=50)
    torch.testing.assert_close(made, 1.02873 * clean, rtol=1e-5, atol=0)
    assert [step for step, _ in seen] == list(range(981, 0, -20))
    bar = float(engine.alpha_bar[961])
    torch.testing.assert_close(seen[1][1], (bar**0.5 + (1 - bar) ** 0.5) * clean)
    with pytest.raises(InputError, match="needs prediction clean, the model predicts noise; take ddim"):
        sampling.legacy_ddim(Diffusion(DIFFSPEAKER), network, clean, num_steps=50)


def test_an_unknown_sampler_is_named():
    with pytest.raises(InputError, match="got 'euler', need one of ddim, dpm"):
        sampling.sample(
            Diffusion(LDA), lambda x, t: x, (1, 1), Draws(0, 0, 1, "cpu"), num_steps=5, sampler="euler"
        )


def test_single_conditions_are_guided():
    full, none = (lambda x, t: x + 3), (lambda x, t: x)
    quiet, wordless = (lambda x, t: x + 1), (lambda x, t: x + 2.5)
    x = torch.zeros(1)
    for scales, want in (((1, 1), 3), ((2, 1), 5), ((0, 1), 1), ((2, 3), 6), ((0, 0), 0.5)):
        guide = sampling.guided_apart(full, full, list(zip((quiet, wordless), scales)))
        assert float(guide(x, x)) == want
    both = sampling.guided_apart(sampling.guided(full, none, 2), full, [(quiet, 2)])
    assert float(both(x, x)) == 6 + 2


def test_guidance():
    conditional, unconditional = (lambda x, t: x + 3), (lambda x, t: x + 1)
    x = torch.zeros(1)
    assert [float(sampling.guided(conditional, unconditional, s)(x, x)) for s in (0, 1, 2)] == [1, 3, 5]


@pytest.mark.parametrize("frames", [1, 5, 20, 21, 37, 64, 103])
@pytest.mark.parametrize("window, overlap", [(20, 5), (20, 0), (20, 19), (16, 8), (7, 3), (2, 1), (1, 0)])
@pytest.mark.parametrize("multiple", [1, 5, 16, 19, 20, 21, 30])
def test_windows_cover_a_take_and_agree(frames, window, overlap, multiple):
    """Where windows agree the result is what the network says, in every frame; 0 / 0 would be NaN."""
    seen = []
    longest = window if window >= multiple else multiple + overlap

    def network(x, step, a, b):
        seen.append((a, b))
        assert a < b <= a + longest and a % multiple == 0
        return x * 2 + torch.arange(a, b)[None, :, None]

    x = torch.randn(2, frames, 3, generator=torch.Generator().manual_seed(0))
    got = sampling.windowed(network, window=window, overlap=overlap, multiple=multiple)(x, torch.zeros(2))
    assert torch.allclose(got, x * 2 + torch.arange(frames)[None, :, None], atol=1e-4)
    assert seen[-1][1] == frames and len(set(seen)) == len(seen)
    assert {f for a, b in seen for f in range(a, b)} == set(range(frames))


def test_windows_shorter_than_the_period_are_cross_faded():
    seen = []

    def network(x, step, a, b):
        seen.append((a, b))
        return torch.full_like(x, float(a > 0))

    got = sampling.windowed(network, window=16, overlap=8, multiple=30)(torch.zeros(1, 60, 1), torch.zeros(1))
    assert seen == [(0, 38), (30, 60)]
    rise = got[0, 29:39, 0]
    assert rise[0] == 0 and rise[-1] == 1 and (rise.diff() > 0).all()


def test_spans_cover_a_take_and_share_the_overlap():
    assert sampling.window_spans(300, window=300, overlap=60) == [(0, 300)]
    assert sampling.window_spans(700, window=300, overlap=60) == [(0, 300), (240, 540), (400, 700)]
    spans = sampling.window_spans(2700, window=300, overlap=60, multiple=30)
    assert all(a % 30 == 0 for a, _ in spans) and spans[-1][1] == 2700
    assert all(before[1] - after[0] >= 60 for before, after in zip(spans, spans[1:]))


@pytest.fixture(scope="module")
def long_told(trained):
    """A tiny face, and 90 s of voices that are told it."""
    run = runs.load(trained.runs / "face")
    rng = np.random.default_rng(5)
    mel = np.stack([voice(rng, 2700) for _ in range(2)], 1)
    facing = np.repeat(rng.integers(0, 2, (27, 2)), 100, 0)
    told = {"mel": torch.from_numpy(mel)[None], "facing": torch.from_numpy(facing)[None]}
    return run.model, told | {"actors": torch.tensor([[0, 1]])}


def test_ninety_seconds_have_no_seam(long_told):
    """Where windows begin and end, no step is larger than the motion's own 99.9th percentile."""
    model, told = long_told
    face = model.sample(told, Draws(2, 0, 1, "cpu"), Generate())["face"][0].numpy()
    spans = sampling.window_spans(2700, window=300, overlap=60, multiple=model.options.period)
    seams = sorted({place for span in spans for place in span} - {0, 2700})
    assert face.shape == (2700, 2, 51) and len(seams) == 20
    for k in range(2):
        largest, others = largest_jump(face[:, k], seams)
        assert largest < others
    apart = model.sample(told, Draws(2, 0, 1, "cpu"), Generate(overlap_frames=0))["face"][0].numpy()
    largest, others = largest_jump(apart[:, 0], range(300, 2700, 300))
    assert largest > 2 * others, "windows that do not overlap have seams"


def test_a_window_of_voices_has_the_samples_of_its_frames():
    told = {"audio": torch.arange(16_000.0).reshape(1, -1, 1).expand(1, -1, 2), "actors": torch.zeros(1, 2)}
    told["facing"] = torch.arange(30).reshape(1, -1, 1).expand(1, -1, 2)
    part = sampling.cut(told, 10, 20)
    assert part["facing"][0, :, 0].tolist() == list(range(10, 20)) and part["actors"] is told["actors"]
    assert part["audio"].shape == (1, 5333, 2) and float(part["audio"][0, 0, 0]) == 5333


def test_a_whole_take_is_one_window(long_told):
    model, told = long_told
    short = {name: value[:, :400] if value.ndim > 2 else value for name, value in told.items()}
    whole = model.sample(short, Draws(0, 0, 1, "cpu"), Generate(window_frames=0))["face"]
    same = model.sample(short, Draws(0, 0, 1, "cpu"), Generate(window_frames=400))["face"]
    windows = model.sample(short, Draws(0, 0, 1, "cpu"), Generate())["face"]
    assert torch.equal(whole, same) and not torch.equal(whole, windows)
    with pytest.raises(ValidationError, match="need 16 frames or more, or 0 for whole takes"):
        Generate(window_frames=15)


def test_diffspeakers_own_sampler_is_not_for_models_with_a_skip(long_told):
    model, told = long_told
    with pytest.raises(InputError, match="legacy_ddim: needs a model with skip none"):
        model.sample(told, Draws(0, 0, 1, "cpu"), Generate(sampler="legacy_ddim"))


def test_what_is_told_of_a_window_is_worked_out_once(long_told, monkeypatch):
    """Each window's condition is asked for once, not at each step; the samples are those of doing so."""
    model, told = long_told
    asked, condition = [], model.condition
    monkeypatch.setattr(
        model,
        "condition",
        lambda batch, *more: (asked.append(batch["mel"].shape[1]), condition(batch, *more))[1],
    )
    options = Generate(window_frames=300, sample_steps=6)
    made = model.sample(told, Draws(0, 0, 1, "cpu"), options)["face"]
    spans = sampling.window_spans(2700, window=300, overlap=60, multiple=30)
    assert asked == [b - a for a, b in spans]
    monkeypatch.setattr(
        model, "told_once", lambda *told: lambda x, step: model.denoise(x, step, *told), raising=True
    )
    assert torch.equal(model.sample(told, Draws(0, 0, 1, "cpu"), options)["face"], made)
