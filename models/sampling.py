"""Samples of a diffusion: samplers, guidance, and takes longer than a network sees at once.

In: a network as a function (x (B, T, D), step (B,) int64) -> (B, T, D), the Diffusion that it was trained
with (whose notation holds here) and models.draws for every draw. Out: samples. Training imports none of
this: an edit of a sampler trains nothing again.
"""

import logging
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from models.denoising import Model
from models.diffusion import Diffusion, Network
from models.draws import Draws
from pipeline.config import Generate
from pipeline.errors import InputError
from pipeline.motion.clock import sample_of
from pipeline.shards.windows import num_samples

log = logging.getLogger("interact")
SAMPLERS = ("ddim", "dpm++", "ddpm", "legacy_ddim")
MIN_SIGNAL = 1e-3
"""DDIM starts at the last step whose alpha_bar is at least this.

Later ones are noise to 3 % and x_0 = (x - ..) / sqrt(alpha_bar) explodes.
"""


def guided(conditional: Network, unconditional: Network, scale: float) -> Network:
    """Classifier-free guidance (Ho and Salimans 2022): u + scale (c - u).

    Scale 1 is the conditional network alone.
    """
    if scale == 1:
        return conditional

    def network(x: Tensor, step: Tensor) -> Tensor:
        away = unconditional(x, step)
        return away + scale * (conditional(x, step) - away)

    return network


def guided_apart(network: Network, told: Network, without: list[tuple[Network, float]]) -> Network:
    """A network with more, or less, of single conditions: n + sum of (scale - 1) (told - told without it).

    Liu et al. 2022 compose conditions so. Scale 1 changes nothing, 0 takes the condition away.
    """

    def guide(x: Tensor, step: Tensor) -> Tensor:
        result, full = network(x, step), told(x, step)
        for lacking, scale in without:
            result = result + (scale - 1) * (full - lacking(x, step))
        return result

    return guide


def sample(
    engine: Diffusion,
    network: Network,
    shape: tuple[int, ...],
    draws: Draws,
    *,
    num_steps: int,
    sampler: str = "ddim",
    report: Callable = iter,
) -> Tensor:
    """Samples (B, *shape), one per row of the draws, where those are made.

    They take `num_steps` network calls: ancestral where that is all steps, or where `sampler` is "ddpm", else
    as the sampler goes. `report` wraps the list of steps and shows progress.
    """
    if sampler not in SAMPLERS:
        raise InputError(f"sampler: got {sampler!r}, need one of {', '.join(SAMPLERS)}")
    if sampler == "ddpm" or num_steps >= engine.num_steps:
        return ddpm(engine, network, draws.normal(shape), draws, report=report)
    if num_steps > (usable := usable_steps(engine)):
        _say_fewer(num_steps, usable, engine.num_steps)
    steps = {"ddim": ddim, "dpm++": dpm, "legacy_ddim": legacy_ddim}[sampler]
    return steps(engine, network, draws.normal(shape), num_steps=num_steps, report=report)


@torch.no_grad()
def ddpm(engine: Diffusion, network: Network, x: Tensor, draws: Draws, *, report: Callable = iter) -> Tensor:
    """Ancestral sampling from standard normal x (B, T, D) over all steps (Ho et al. 2020, algorithm 2).

    x <- (x - beta / sqrt(1 - alpha_bar) noise) / sqrt(1 - beta) + sigma z with sigma^2 = beta (1 -
    alpha_bar_{t-1}) / (1 - alpha_bar_t); nothing is added after step 0 and nothing is clipped.
    """
    for t in report(list(range(engine.num_steps - 1, -1, -1))):
        step = torch.full((len(x),), t, dtype=torch.int64, device=x.device)
        noise = engine.noise_of(network(x, step), x, step)
        beta, bar = float(engine.betas[t]), float(engine.alpha_bar[t])
        x = (x - beta / math.sqrt(1 - bar) * noise) / math.sqrt(1 - beta)
        if t:
            sigma = math.sqrt(beta * (1 - float(engine.alpha_bar[t - 1])) / (1 - bar))
            x = x + sigma * draws.normal(tuple(x.shape[1:])).to(x)
    return x


def usable_steps(engine: Diffusion, min_signal: float = MIN_SIGNAL) -> int:
    """Number of steps, from 0 on, that DDIM can take: those with enough signal."""
    return max(int((engine.alpha_bar >= min_signal).sum()), 1)


@cache
def _say_fewer(asked: int, usable: int, num_steps: int) -> None:
    """Warn, once for all takes of a command, that DDIM takes fewer steps than were asked for."""
    log.warning(
        "sample_steps %d: DDIM takes %d steps, for the others of this schedule's %d are noise"
        " (less than %g of the signal's variance); %d or less is done as asked, %d is the ancestral sampler",
        asked,
        usable,
        num_steps,
        MIN_SIGNAL,
        usable,
        num_steps,
    )


def ddim_steps(engine: Diffusion, num_steps: int, *, min_signal: float = MIN_SIGNAL) -> list[int]:
    """Descending steps of DDIM, ending at 1, or at 0 where all usable ones are asked for.

    They are spread evenly, to the whole step, over the usable ones: those whose alpha_bar is at least
    `min_signal`. Asked for more, it gives all of these. For DiffSpeaker's schedule, whose alpha_bar never
    falls below that, 50 steps are 981, 961, .., 21, 1.
    """
    usable = usable_steps(engine, min_signal)
    num_steps = min(num_steps, usable)
    offset = 1 if num_steps < usable else 0
    return [i * usable // num_steps + offset for i in range(num_steps)][::-1]


@torch.no_grad()
def ddim(
    engine: Diffusion,
    network: Network,
    x: Tensor,
    *,
    num_steps: int,
    min_signal: float = MIN_SIGNAL,
    report: Callable = iter,
) -> Tensor:
    """Deterministic sampling from standard normal x (B, T, D) (Song et al. 2021, eta 0).

    x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s) noise with both taken from the network's output at
    x_t. The result is the x_0 of the last step, so none of the noise that alpha_bar_0 < 1 leaves is in it.
    """
    steps = ddim_steps(engine, num_steps, min_signal=min_signal)
    for t, following in zip(report(steps), [*steps[1:], None]):
        step = torch.full((len(x),), t, dtype=torch.int64, device=x.device)
        output = network(x, step)
        clean = engine.clean_of(output, x, step)
        if following is not None:
            x = engine.q_sample(clean, torch.full_like(step, following), engine.noise_of(output, x, step))
    return clean


def even_steps(engine: Diffusion, num_steps: int, *, min_signal: float = MIN_SIGNAL) -> list[int]:
    """Descending steps whose log signal-to-noise ratios are evenly spread, as DPM-Solver++ wants them.

    From the last usable step to step 1, or to 0 where all usable ones are asked for, each of them once.
    """
    usable = usable_steps(engine, min_signal)
    num_steps = min(num_steps, usable)
    if num_steps == usable:
        return list(range(usable))[::-1]
    bar = engine.alpha_bar[1:usable].numpy()
    ratio = np.log(bar) - np.log1p(-bar)  # falls with the step
    wanted = np.linspace(ratio[-1], ratio[0], num_steps)
    ideal = np.interp(wanted, ratio[::-1], np.arange(usable - 1, 0, -1))
    steps: list[int] = []
    for left, place in zip(range(num_steps - 1, -1, -1), ideal):
        highest = steps[-1] - 1 if steps else usable - 1
        steps.append(max(min(round(float(place)), highest), 1 + left))
    return steps


@torch.no_grad()
def dpm(
    engine: Diffusion,
    network: Network,
    x: Tensor,
    *,
    num_steps: int,
    min_signal: float = MIN_SIGNAL,
    report: Callable = iter,
) -> Tensor:
    """Deterministic sampling of second order from standard normal x (B, T, D): DPM-Solver++(2M).

    Lu et al. 2022, algorithm 2, on `even_steps`. With the half log signal-to-noise ratio
    lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)) and h the difference of it from one step to the next,
    x_s = sigma_s / sigma_t x_t - sqrt(alpha_bar_s) (exp(-h) - 1) D, where D is the x_0 of this step continued
    along the line through it and the one before. The first step is DDIM's. As there, the result is the x_0 of
    the last step.
    """
    bar = engine.alpha_bar
    steps = even_steps(engine, num_steps, min_signal=min_signal)
    before: Tensor | None = None
    last_h = 0.0
    for t, following in zip(report(steps), [*steps[1:], None]):
        step = torch.full((len(x),), t, dtype=torch.int64, device=x.device)
        clean = engine.clean_of(network(x, step), x, step)
        if following is None:
            break
        h = float((bar[following].log() - (1 - bar[following]).log() - bar[t].log() + (1 - bar[t]).log()) / 2)
        ahead = clean if before is None else clean + (clean - before) * (h / last_h / 2)
        x = (
            float(((1 - bar[following]) / (1 - bar[t])).sqrt()) * x
            - float(bar[following].sqrt()) * math.expm1(-h) * ahead
        )
        before, last_h = clean, h
    return clean


@torch.no_grad()
def legacy_ddim(
    engine: Diffusion,
    network: Network,
    x: Tensor,
    *,
    num_steps: int,
    min_signal: float = MIN_SIGNAL,
    report: Callable = iter,
) -> Tensor:
    """What DiffSpeaker computed: the DDIM of diffusers 0.11 to 0.14 where the network predicts x_0.

    It takes x_0 in place of the noise: x_s = (sqrt(alpha_bar_s) + sqrt(1 - alpha_bar_s)) x_0, the last one at
    step 0. So noise acts at the first step alone, and the result is x_0 times a little more than 1 (1.02873
    with DiffSpeaker's schedule). For comparison with published figures only.
    """
    if engine.prediction != "clean":
        raise InputError(
            f"sampler legacy_ddim: needs prediction clean, the model predicts {engine.prediction}; take ddim"
        )
    steps = ddim_steps(engine, num_steps, min_signal=min_signal)
    for t, following in zip(report(steps), [*steps[1:], 0]):
        clean = network(x, torch.full((len(x),), t, dtype=torch.int64, device=x.device))
        share = engine.alpha_bar[following]
        x = float(share.sqrt() + (1 - share).sqrt()) * clean
    return x


def window_spans(frames: int, *, window: int, overlap: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Windows a .. b - 1 that cover a take: `window` frames, of which neighbours share `overlap` or more.

    Starts are multiples of `multiple`; the last window is moved back, rounded up to a multiple, so that it
    ends at the take's end. A window shorter than `multiple` would leave gaps: it is made as long as that and
    the overlap.
    """
    if window < multiple:
        window = multiple + overlap
    if frames <= window:
        return [(0, frames)]
    hop = max((window - overlap) // multiple, 1) * multiple
    starts = [*range(0, frames - window, hop), -(-(frames - window) // multiple) * multiple]
    return [(a, min(a + window, frames)) for a in starts]


def windowed(
    network: Callable[[Tensor, Tensor, int, int], Tensor], *, window: int, overlap: int, multiple: int = 1
) -> Network:
    """A network for takes of any length out of one that sees at most `window` frames.

    The windows overlap and are cross-faded. `network` is called with (x[:, a:b], step, a, b). Predictions of
    overlapping windows are averaged with weights that fall linearly towards a window's ends, at every
    diffusion step, so the windows agree on one sample instead of being joined afterwards, and memory does not
    grow with the take but for the sample itself. Window starts are multiples of `multiple` (a period that
    positions repeat with); see `window_spans`.
    """

    def run(x: Tensor, step: Tensor) -> Tensor:
        frames = x.shape[1]
        spans = window_spans(frames, window=window, overlap=overlap, multiple=multiple)
        if len(spans) == 1:
            return network(x, step, 0, frames)
        total, weights = torch.zeros_like(x), torch.zeros(frames, 1, dtype=x.dtype, device=x.device)
        for a, b in spans:
            place = torch.arange(b - a, device=x.device)
            weight = torch.minimum(place + 1, b - a - place).clamp(max=max(overlap, 1)).to(x)[:, None]
            total[:, a:b] += network(x[:, a:b], step, a, b) * weight
            weights[a:b] += weight
        return total.div_(weights)

    return run


def cut(told: dict[str, Tensor], a: int, b: int) -> dict[str, Tensor]:
    """Frames a .. b - 1 of what is told of takes: streams (B, N, 2, ...), of `audio` (B, S, 2) their samples.

    What is of the whole take stays.
    """
    first = int(sample_of(a))
    samples = slice(first, first + num_samples(b - a))
    return {
        name: value if value.ndim < 3 else value[:, samples if name == "audio" else slice(a, b)]
        for name, value in told.items()
    }


def long_take(
    model: Model,
    told: dict[str, Tensor],
    draws: Draws,
    *,
    options: Generate,
    multiple: int = 1,
    report: Callable = iter,
) -> Tensor:
    """Samples (parts B, T, D) of a diffusion model that is told of B takes of any length.

    Takes longer than `options.window_frames` are denoised in overlapping windows that agree on one sample.
    What is told of a window is worked out when it is first seen, and of that only what its steps need is
    kept: memory grows with the take by little more than the sample itself. The draws have a row for each of
    the takes.
    """
    if options.guidance != 1 and not model.options.condition_dropout:
        raise InputError(
            f"guidance {options.guidance}: this model was trained without condition_dropout; take guidance 1,"
            " or train it again with some"
        )
    scales = {name: scale for name, scale in options.guidance_of.items() if scale != 1}
    unknown = [name for name in scales if name not in model.conditions]
    if unknown:
        raise InputError(
            f"guidance_of: got {unknown[0]!r}, this model is told {', '.join(model.conditions)}; name some of"
            " these"
        )
    if scales and not (model.options.part_dropout or model.options.condition_dropout):
        raise InputError(
            f"guidance_of {', '.join(scales)}: this model was trained without part_dropout; train it again"
            " with some"
        )
    if 0 < options.window_frames <= options.overlap_frames:
        raise InputError(
            f"overlap_frames: got {options.overlap_frames},"
            f" need less than window_frames ({options.window_frames})"
        )

    sampler = model.options.sampler if options.sampler == "own" else options.sampler
    if sampler == "legacy_ddim" and model.smoothing is not None:
        raise InputError(
            "sampler legacy_ddim: needs a model with skip none; this one adds its input to its output, which"
            " grows without end there; take ddim"
        )
    num_frames = max(value.shape[1] for name, value in told.items() if value.ndim > 2 and name != "audio")

    def in_window(untold: dict[str, Tensor] | None = None) -> Network:
        seen: dict[tuple[int, int], Network] = {}

        def part(x: Tensor, step: Tensor, a: int, b: int) -> Tensor:
            if (a, b) not in seen:
                seen[a, b] = model.told_once(*model.condition(cut(told, a, b), untold))
            return seen[a, b](x, step)

        return windowed(
            part,
            window=options.window_frames or num_frames,
            overlap=options.overlap_frames,
            multiple=multiple,
        )

    draws = draws.split(model.parts)
    with torch.no_grad():
        guide = told_all = in_window()
        if options.guidance != 1:
            nothing = model.untold(torch.ones(len(draws), dtype=torch.bool, device=model.device))
            guide = guided(guide, in_window(nothing), options.guidance)
        if scales:
            every = torch.ones(len(draws), 1, dtype=torch.bool, device=model.device)
            without = {name: in_window({name: every}) for name in scales}
            guide = guided_apart(guide, told_all, [(without[name], scale) for name, scale in scales.items()])
        shape = num_frames, model.width
        steps = options.sample_steps or model.options.sample_steps
        made = sample(model.diffusion, guide, shape, draws, num_steps=steps, sampler=sampler, report=report)
        return model.decode(made)
