"""Separation: each actor's own voice out of what both close microphones picked up.

In: the Broadcast Waves of both performances and the take's sync JSON. Out: 24-bit WAVs at 48 kHz, cut to the common
window to the sample (round(frames x 48000 / 30)), and a JSON of levels. The microphone of one performance alone has
nothing to be separated from: it is cut and written as it is, and its report says `none`.

`mask`: in each short-time cell the two microphones' powers are taken for the powers of two independent voices, each
heard fully in its owner's microphone and leaking into the other's by a coupling that is estimated per frequency band
from the moments in which only the other voice is there. Solving the two equations gives each voice's share of its
own microphone, which becomes a Wiener mask.
"""

import logging
from pathlib import Path

import numpy as np

from pipeline import audio, config, stage
from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.sync_file import read_sync
from pipeline.takes import actor_of, performance_actor

log = logging.getLogger("interact")

OUT_RATE = 48_000
WINDOW_SECONDS = 0.085
BLOCK_SECONDS = 20.0
NUM_BANDS = 24
FLOOR = 0.03
"""Smallest mask: what is left of a cell in which only the other voice is heard (-30 dB)."""
RATIO_BINS_DB = np.arange(-60.0, 60.5, 0.5)


def _window_samples(rate: int) -> int:
    return 2 ** round(np.log2(WINDOW_SECONDS * rate))


def _spectra(x: np.ndarray, size: int) -> np.ndarray:
    """Short-time spectra (F, C) of x, which is zero-padded by one window on both sides; hop size / 4."""
    hop = size // 4
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, size), size)[::hop]
    return np.fft.rfft(frames * _root_hann(size), axis=1).astype(np.complex64)


def _root_hann(size: int) -> np.ndarray:
    """Analysis and synthesis window: its square, a Hann window, sums to a constant at a hop of size / 4."""
    return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def _signal(spectra: np.ndarray, size: int, num_samples: int) -> np.ndarray:
    """The inverse of `_spectra` by overlap and add."""
    hop = size // 4
    frames = np.fft.irfft(spectra, size, axis=1).astype(np.float32) * (_root_hann(size) / 2)  # squared window sums to 2
    out = np.zeros((len(frames) + 3, hop), np.float32)
    for part in range(4):
        out[part : part + len(frames)] += frames[:, part * hop : (part + 1) * hop]
    return out.reshape(-1)[size : size + num_samples]


def _smooth(power: np.ndarray) -> np.ndarray:
    """Power averaged over three frames and three frequencies: one cell alone is too noisy for a ratio."""
    for axis in (0, 1):
        padded = np.pad(power, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        n = power.shape[axis]
        before, here, after = (np.take(padded, range(k, k + n), axis) for k in range(3))
        power = (before + here + after) / 3
    return power


def _bands(num_frequencies: int, rate: int) -> np.ndarray:
    """Band index of each frequency: NUM_BANDS bands, equally wide on the mel scale."""
    mel = 2595 * np.log10(1 + np.linspace(0, rate / 2, num_frequencies) / 700)
    return np.minimum((mel / mel[-1] * NUM_BANDS).astype(int), NUM_BANDS - 1)


def _blocks(num_samples: int, rate: int, size: int) -> list[tuple[int, int, int, int]]:
    """(from, to, padded from, padded to) sample ranges; padding lets every block's edge cells see their neighbours."""
    step = int(BLOCK_SECONDS * rate) // size * size  # whole windows: all blocks share one grid, so borders leave no seam
    return [(i, min(i + step, num_samples), max(i - 2 * size, 0), min(i + step + 2 * size, num_samples)) for i in range(0, num_samples, step)]


def estimate_coupling(mics: np.ndarray, rate: int) -> np.ndarray:
    """Power coupling (2, bands): how strongly the other voice leaks into each microphone, relative to its own microphone.

    Of the cells that are loud in the other microphone and louder there than here, most hold the other voice's leak and
    little else: the coupling is the median of their power ratios, per band where a band has enough of them.
    """
    size = _window_samples(rate)
    band = _bands(size // 2 + 1, rate)
    counts = np.zeros((2, NUM_BANDS, len(RATIO_BINS_DB) + 1))
    loud = [np.percentile(np.abs(mics[k]), 95) ** 2 * size / 50 for k in range(2)]
    for _, _, first, last in _blocks(mics.shape[1], rate, size):
        power = [_smooth(np.abs(_spectra(mics[k, first:last], size)) ** 2) + 1e-12 for k in range(2)]
        for k in range(2):
            own, other = power[k], power[1 - k]
            heard = (other > own) & (other > loud[1 - k] * _tilt(other.shape[1]))
            ratio = np.digitize(10 * np.log10(own / other), RATIO_BINS_DB)
            np.add.at(counts[k], (np.broadcast_to(band, ratio.shape)[heard], ratio[heard]), 1)
    centres = np.concatenate([[RATIO_BINS_DB[0]], (RATIO_BINS_DB[1:] + RATIO_BINS_DB[:-1]) / 2, [RATIO_BINS_DB[-1]]])
    coupling = np.zeros((2, NUM_BANDS))
    for k in range(2):
        pooled = _quantile(counts[k].sum(0), centres)
        for b in range(NUM_BANDS):
            enough = counts[k, b].sum() >= 200
            coupling[k, b] = 10 ** ((_quantile(counts[k, b], centres) if enough else pooled) / 10)
    return coupling


def _tilt(num_frequencies: int) -> np.ndarray:
    """Speech falls off towards high frequencies: the level that counts as loud does too, by 30 dB over the range."""
    return 10 ** (-3 * np.linspace(0, 1, num_frequencies))


def _quantile(counts: np.ndarray, centres: np.ndarray, share: float = 0.5) -> float:
    """The ratio below which `share` of the counts lie; no counts say that nothing leaks."""
    if counts.sum() == 0:
        return -60.0
    return float(centres[np.searchsorted(np.cumsum(counts), share * counts.sum())])


def separate(mics: np.ndarray, rate: int, *, method: str = "mask") -> np.ndarray:
    """Each actor's own voice, float32 (2, S), at its own microphone's level, from two microphones (2, S) at `rate` Hz."""
    mics = np.asarray(mics, np.float32)
    if mics.ndim != 2 or mics.shape[0] != 2 or not np.isfinite(mics).all():
        raise InputError(f"separation: microphones {mics.shape}, need two equally long finite signals (2, S); check the recordings")
    if method == "none":
        return mics.copy()
    if method != "mask":
        raise InputError(f"separation method {method!r}, need mask or none")
    size = _window_samples(rate)
    coupling = estimate_coupling(mics, rate)[:, _bands(size // 2 + 1, rate)]
    out = np.empty_like(mics)
    for start, stop, first, last in _blocks(mics.shape[1], rate, size):
        spectra = [_spectra(mics[k, first:last], size) for k in range(2)]
        power = [_smooth(np.abs(s) ** 2) + 1e-12 for s in spectra]
        for k in range(2):
            # own = mine + c_k theirs, other = theirs + c_other mine
            mine = (power[k] - coupling[k] * power[1 - k]) / (1 - np.minimum(coupling[k] * coupling[1 - k], 0.5))
            mask = np.clip(mine / power[k], FLOOR, 1.0)
            voice = _signal(spectra[k] * mask, size, last - first)
            out[k, start:stop] = voice[start - first : stop - first]
    return out


def read_window(path: Path, record: dict, start_seconds: float, num_samples: int) -> np.ndarray:
    """A microphone's samples (num_samples,) float32 at OUT_RATE from `start_seconds` on the take's clock, by its record in the sync JSON."""
    stream = audio.open_audio(path, channel=record.get("channel"))
    return audio.resample_span(stream, start_seconds - record["start"], num_samples, true_rate=record["rate"], out_rate=OUT_RATE)


def run(*, wav: list[Path], sync: Path, performance: list[str], out: list[Path], out_report: list[Path], options: config.Separation) -> None:
    """Separate one take and write the voices and reports of the performances that are asked for."""
    import soundfile

    take = read_sync(sync)
    actors = [p["actor"] for p in take["performances"]]
    if not len(performance) == len(out) == len(out_report) or not {actor_of(name) for name in performance} <= set(actors):
        raise InputError(
            f"take {take['take']}: performances {', '.join(performance)}, {len(out)} --out, {len(out_report)} --out-report; "
            f"need performances of actors {', '.join(actors)} and one of each file for each; correct the command"
        )
    if len(wav) != len(actors):
        raise InputError(f"take {take['take']}: got {len(wav)} --wav, need those of actors {', '.join(actors)}; correct the command")
    num_samples = round(take["frames"] * OUT_RATE / take["fps"])
    mics = np.empty((len(actors), num_samples), np.float32)
    for k, path in enumerate(wav):
        if (owner := performance_actor(path.stem)) not in (None, actors[k]):
            raise InputError(
                f"take {take['take']}: {path.name} is the microphone of actor {owner}, need that of {actors[k]}; give --wav in actor order"
            )
        mics[k] = read_window(path, take["performances"][k]["audio"], take["start_seconds"], num_samples)
    alone = len(actors) == 1
    voices = mics if alone else separate(mics, OUT_RATE, method=options.method)
    for name, path, report in zip(performance, out, out_report, strict=True):
        k = actors.index(actor_of(name))
        with whole(path) as temporary:
            soundfile.write(temporary, np.clip(voices[k], -1, 1), OUT_RATE, subtype="PCM_24")
        clipped = int(np.sum(np.abs(mics[k]) >= 0.999))
        value = {"performance": name, "method": "none" if alone else options.method, "clipped_samples": clipped, "samples": num_samples}
        if not alone:
            removed = 10 * np.log10((np.sum((mics[k] - voices[k]) ** 2) + 1e-12) / (np.sum(mics[k] ** 2) + 1e-12))
            log.info("%s: removed %.1f dB of the microphone's power", name, removed)
            value["removed_db"] = float(removed)
        write_json(report, value)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Separation)
    parser.add_argument("--wav", nargs="+", type=Path, required=True, help="Broadcast Waves of both, in actor order, or of one actor alone")
    parser.add_argument("--sync", type=Path, required=True, help="the take's sync JSON")
    parser.add_argument("--performance", nargs="+", required=True, help="performances to write: one or both")
    parser.add_argument("--out", nargs="+", type=Path, required=True, help="WAV to write for each")
    parser.add_argument("--out-report", nargs="+", type=Path, required=True, help="JSON to write for each")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
