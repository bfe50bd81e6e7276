"""The scores of one row of the table, with intervals over samples and over takes.

In: test takes, and functions that give a sample of each; rigs; options. Out: a dict of numbers by column,
None where a score cannot be computed. Takes are read one at a time, and what their scores need is kept as
sums (models.tally), so memory does not grow with the frames but for a few numbers of each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models import gestures, lips, metrics, space, speaking
from models.mouths import Mouths
from models.tally import Pairs, Tally, half_width, jackknife_half_width, merged
from pipeline import config
from pipeline.errors import InputError
from pipeline.formats.rig_file import Rig, load_rig, regions, rig_path
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.motion import pose
from pipeline.motion.clock import FPS
from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics

BODIES = {
    "FD_g": (
        "rad^2. Frechet distance of poses, generated against real:"
        " frames as rows, covariances with ddof 1. Lower is better."
    ),
    "FD_k": (
        "rad^2 per frame^2. The same of differences between successive frames of a window, per frame, not per"
        " second. Lower is better."
    ),
    "Div_g": (
        "rad. Mean L2 distance of random pairs of generated poses, over all windows and samples."
        " Best near the real row."
    ),
    "Div_k": (
        "rad^2. Variance over time of generated poses, mean over channels, windows and samples."
        " Best near the real row."
    ),
    "Div_sample": (
        "rad^2. Variance over the samples of a take, mean over frames and channels."
        " 0 where there is one sample."
    ),
    "spread_body": (
        "Variance over the samples of a take (ddof 1) of joints and relative root, each channel divided by"
        " its variance over the train split; mean over frames and channels that move. 0 is one answer to"
        " each take, 1 as varied as the data. Empty with one sample."
    ),
    "accel_body": (
        "Mean acceleration of the joints in space, divided by that of the real bodies."
        " 1 is best; more is jitter, less is sluggish."
    ),
}
FACES = {
    "LVE_cm2": (
        "cm^2. Largest squared error of a frame's lip vertices, mean over frames, then over performances and"
        " samples. Lower is better."
    ),
    "LVE_frames_cm2": "cm^2. As LVE_cm2, over the frames of all performances (CodeTalker's mean).",
    "LVE_mean_cm2": "cm^2. As LVE_cm2, of the mean over a take's samples.",
    "LVE_root_cm": "cm. As LVE_cm2, of distances in place of their squares.",
    "LVE_root_frames_cm": "cm. As LVE_root_cm, over the frames of all performances.",
    "FDD_cm2": (
        "cm^2. Deviation over time of upper-face vertices' squared distance to the neutral face, real minus"
        " generated, mean over performances and samples. Best near 0."
    ),
    "FDD_root_cm": "cm. As FDD_cm2, of distances in place of their squares.",
    "spread_face": "As spread_body, of the ARKit weights that move.",
    "accel_face": (
        "Mean size of the second difference over time of ARKit weights, divided by that of the real faces."
        " 1 is best."
    ),
    "jaw_voice": (
        "Correlation of jawOpen with the log energy of the own voice, mean over performances and samples."
        " Best near the real row."
    ),
    "blinks_min": "Blinks a minute. Best near the real row.",
    "upper_face": (
        "Mean change a second of the weights of brows, eyes and cheeks, divided by that of the real faces."
        " 1 is best."
    ),
    "plosives_closed": (
        "Share of the instants of p, b and m at which the lips are shut. Best near the real row. Read it"
        " beside plosives_false: lips that never open are always shut."
    ),
    "plosives_false": (
        "Share of the frames of other sounds in which the lips are shut. Best near the real row."
    ),
    "mouth_FD": (
        "Frechet distance of an actor's mouth shapes to those that the actor was captured with, in the"
        " weights' deviations, mean over actors. Lower is better; the real row says how near other takes of"
        " the same actor are."
    ),
    "mouth_own": (
        "Share of frames whose mouth shape is nearer to the own actor's captured mean than to another"
        " actor's, mean over the others. 0.5: nothing of the actor is left. Best near the real row."
    ),
}
_W1 = "1-Wasserstein distance of its distribution to the real one. Lower is better."
_MEDIAN = "Median of the same."
SPACE = {
    "path_m_min": "m/min. Path of the hips along the ground, mean over windows and bodies.",
    "path_W1": f"m/min. {_W1}",
    "speed_cm_s": "cm/s. Speed of the hips in space, mean over frames and bodies.",
    "speed_W1": f"cm/s. {_W1}",
    "turn_deg_s": "deg/s. Speed at which the hips turn about the vertical, either way.",
    "turn_W1": f"deg/s. {_W1}",
    "distance_cm": "cm. Distance between the two on the ground, hips to hips.",
    "distance_W1": f"cm. {_W1}",
    "angle_deg": "deg. Angle between where the hips point and the partner's hips, on the ground.",
    "angle_W1": f"deg. {_W1}",
    "facing_share": "Share of frames in which a body faces the partner, by the rule of the facing labels.",
    "slide_cm_s": "cm/s. Speed along the ground of the lower foot: how much standing feet slide.",
    "slide_W1": f"cm/s. {_W1}",
    "foot_cm": (
        "cm. Height of the lower foot over the floor, which is where the real performance's lower foot is in"
        " its lowest hundredth of frames. Best near the real row."
    ),
    "foot_W1": f"cm. {_W1}",
    "sunk_cm": "cm. How far the lower foot is below the floor, mean over all frames. Best near the real row.",
    "overlap_cm": (
        "cm. How deep the two bodies, as coarse capsules, are in each other, mean over all frames. Best near"
        " the real row."
    ),
    "overlap_share": "Share of frames in which they are. Best near the real row.",
    "limits_share": (
        "Share of frames in which knees, elbows, fingers, neck or trunk are bent or turned further than they"
        " can be. Best near the real row."
    ),
    "actions_agree": (
        "Share of frames that the labeller of actions takes for what the take's labels ask for: sit, walk or"
        " stand. To be near 1; the real row's labels are the labeller's own."
    ),
    "path_median_m_min": f"m/min. {_MEDIAN}",
    "speed_median_cm_s": f"cm/s. {_MEDIAN}",
    "turn_median_deg_s": f"deg/s. {_MEDIAN}",
    "distance_median_cm": f"cm. {_MEDIAN}",
    "angle_median_deg": f"deg. {_MEDIAN}",
    "slide_median_cm_s": f"cm/s. {_MEDIAN}",
    "foot_median_cm": f"cm. {_MEDIAN}",
}
GESTURES = {
    "beats_min": "Beats of either hand a minute: ends of strokes. Best near the real row.",
    "beat_align": (
        "How near the next onset of the own voice is, mean over beats: exp(-d^2 / (2 s^2)) with s 0.1 s"
        " (Li et al. 2021, Liu X. et al. 2022). Read it beside its chance; best near the real row."
    ),
    "beat_align_chance": "As beat_align, of the same beats shifted in time.",
    "beat_consistency": (
        "How near the next beat is, mean over onsets of the own voice, s 0.3 s (Liu H. et al. 2022, BEAT)."
        " Read it beside its chance; best near the real row."
    ),
    "beat_consistency_chance": "As beat_consistency, of the same beats shifted in time.",
}
COLUMNS = BODIES | FACES | SPACE | GESTURES
"""What each score is."""
DISTRIBUTIONS = {
    "path": ("path_m_min", "path_median_m_min", "path_W1"),
    "speed": ("speed_cm_s", "speed_median_cm_s", "speed_W1"),
    "turn": ("turn_deg_s", "turn_median_deg_s", "turn_W1"),
    "distance": ("distance_cm", "distance_median_cm", "distance_W1"),
    "angle": ("angle_deg", "angle_median_deg", "angle_W1"),
    "facing": ("facing_share", None, None),
    "slide": ("slide_cm_s", "slide_median_cm_s", "slide_W1"),
    "foot": ("foot_cm", "foot_median_cm", "foot_W1"),
    "sunk": ("sunk_cm", None, None),
    "overlap": ("overlap_cm", None, None),
    "overlapping": ("overlap_share", None, None),
    "limits": ("limits_share", None, None),
    "agrees": ("actions_agree", None, None),
}
"""By what models.space measures: the columns of its mean, median and distance to the real distribution."""
MOST_PARTS = 32
"""Most parts that takes are dealt into, one of which is left out at a time for the interval over takes."""
STILL = {"body": 0.01, "root": np.array([0.01, 0.01, 1e-4, 0.01]), "face": 1e-3}
"""Channels that deviate less over the train split count as still, and their spread is not measured.

A joint by less than 0.01 rad, half a degree; a root by less than 0.01 cm or 1e-4 rad a frame (3 mm, 0.2
degrees a second), or 0.1 mm of height; a face by less than 0.001 of a shape, some hundredths of a millimetre.
"""
READINGS = ("body_values", "body_rows", "body_rates", "body_pairs", "div_k", "div_sample")
"""Options that say how the metrics of bodies are read."""
ROW_VALUES = {
    "radians": "joint values",
    "standardised": "joint values that move, standardised",
    "features": "values of joints and relative root that move, standardised",
}
"""What rows of bodies hold, by `body_values`."""
MOUTH = "mouth"
"""How names of what is counted of an actor's mouth begin; the actor's id follows."""
BLOCK = 1 << 21
"""Most coordinates of a mesh in memory at a time."""


@dataclass(frozen=True)
class Sample:
    """Of a take: body (N, 2, 3 J), root (N, 2, 4), face (N, 2, 51); None for what is not.

    motions: both bodies in the room; where they are None, they are made of body and root, on the take's own
    skeletons. asked (N, 2): actions that were asked for in place of the take's own.
    """

    body: np.ndarray | None = None
    root: np.ndarray | None = None
    face: np.ndarray | None = None
    motions: list[Motion] | None = None
    asked: np.ndarray | None = None


Source = Callable[[Shard, TakeSpan], Sample]


class Rigs:
    """Rigs and their regions by actor, from a folder of {actor}.npz or one file for everybody; read once."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.known: dict[Path, tuple[Rig, dict[str, np.ndarray]]] = {}

    def of(self, actor: str) -> tuple[Rig, dict[str, np.ndarray]]:
        """Rig and regions of an actor."""
        path = rig_path(self.path, actor)
        if path not in self.known:
            rig = load_rig(path)
            self.known[path] = rig, regions(rig)
        return self.known[path]


def face_errors(
    predicted: np.ndarray, real: np.ndarray, rig: Rig, areas: dict[str, np.ndarray]
) -> tuple[float, float]:
    """LVE and FDD (cm^2) of a performance's ARKit weights (N, 51) on a rig.

    Only the regions' vertices are built, in blocks.
    """
    (found,) = sampled_face_errors([predicted], real, rig, areas)
    return found.lve, found.fdd


class FaceErrors(NamedTuple):
    """Errors of a performance: squared in cm^2, roots in cm."""

    lve: float
    lve_root: float
    fdd: float
    fdd_root: float


def sampled_face_errors(
    predicted: list[np.ndarray], real: np.ndarray, rig: Rig, areas: dict[str, np.ndarray]
) -> list[FaceErrors]:
    """LVE and FDD, of squared distances and of distances, of each of several faces (N, 51).

    The real mesh is built once for all.
    """

    def mesh(weights: np.ndarray, vertices: np.ndarray) -> np.ndarray:
        deltas = rig.deltas[:, vertices].reshape(len(rig.deltas), -1).astype(np.float64)
        return rig.neutral[vertices] + (weights @ deltas).reshape(len(weights), -1, 3)

    lips, upper, frames = areas["lips"], areas["upper_face"], len(real)
    real, faces = np.asarray(real, np.float64), [np.asarray(face, np.float64) for face in predicted]
    lve, lve_root, fdd, fdd_root = (np.zeros(len(faces)) for _ in range(4))
    step = max(1, BLOCK // (3 * len(lips)))
    for a in range(0, frames, step):
        true = mesh(real[a : a + step], lips)
        for i, face in enumerate(faces):
            made = mesh(face[a : a + step], lips)
            every, share = np.arange(len(lips)), len(true) / frames
            lve[i] += metrics.lip_vertex_error(made, true, every) * share
            lve_root[i] += metrics.lip_vertex_error(made, true, every, squared=False) * share
    step = max(1, BLOCK // (3 * frames))
    for a in range(0, len(upper), step):
        part = upper[a : a + step]
        true = mesh(real, part)
        for i, face in enumerate(faces):
            made, rest, share = mesh(face, part), rig.neutral[part], len(part) / len(upper)
            for total, squared in ((fdd, True), (fdd_root, False)):
                total[i] += share * metrics.face_dynamics_deviation(
                    made, true, rest, np.arange(len(part)), squared=squared
                )
    return [FaceErrors(*values) for values in zip(*(x.tolist() for x in (lve, lve_root, fdd, fdd_root)))]


def windows_of(num_frames: int, window: int) -> list[tuple[int, int]]:
    """Whole windows a .. b - 1 of a take, end to end; a take that is shorter is one window of its length."""
    length = min(window, num_frames)
    return [(a, a + length) for a in range(0, num_frames - length + 1, length)]


@dataclass(frozen=True)
class Setting:
    """What all rows are measured on.

    takes: test takes (shard, span); stats: stats.json of the shards; rigs: None for no face errors; options;
    facing: the rule of the facing labels; mouths: what the actors were captured with; phonemes: by
    performance, (name, start, end) in seconds, None where no transcripts are given.
    """

    takes: list[tuple[Shard, TakeSpan]]
    stats: dict
    rigs: Rigs | None
    options: config.Evaluate
    facing: config.Facing = field(default_factory=config.Facing)
    mouths: Mouths | None = None
    phonemes: dict[str, list[tuple[str, float, float]]] | None = None
    known: dict[int, list[space.Real]] = field(default_factory=dict, repr=False)
    """What `real_of` has found, by number of the take."""

    def real_of(self, index: int) -> list[space.Real]:
        """What the real motion of a take tells of its two performances; worked out once."""
        if index not in self.known:
            shard, span = self.takes[index]
            body, root = (
                np.asarray(shard[name][span.start_frame : span.stop_frame]) for name in ("body", "root")
            )
            self.known[index] = [
                space.real_of(motion) for motion in _motions(Sample(body, root), shard, span)
            ]
        return self.known[index]

    def __post_init__(self) -> None:
        playing = {actor for _, span in self.takes for actor in (span.actor_a, span.actor_b)}
        if absent := [actor for actor in self.options.actors if actor not in playing]:
            raise InputError(
                f"evaluate.actors: no test take with actor {absent[0]!r:.70}; the actors of the test"
                f" takes are {', '.join(sorted(playing))}"
            )

    def faces_of(self, span: TakeSpan) -> dict[int, str]:
        """Actors whose faces are measured in a take, by their place in it."""
        chosen = self.options.actors
        return {
            k: actor for k, actor in enumerate((span.actor_a, span.actor_b)) if not chosen or actor in chosen
        }

    @property
    def windows(self) -> list[list[tuple[int, int]]]:
        """Windows of each take."""
        lengths = (span.stop_frame - span.start_frame for _, span in self.takes)
        return [windows_of(length, self.options.window_frames) for length in lengths]

    @property
    def persons(self) -> int:
        """Rows of bodies that a frame is: one of both actors, or one of each."""
        return 2 if self.options.body_rows == "person" else 1

    @property
    def num_parts(self) -> int:
        """Parts that the takes are dealt into: a take each, or several where there are many."""
        return min(len(self.takes), MOST_PARTS)


class Drawn:
    """Random pairs of the rows of all windows of all samples, drawn before the rows are read.

    lengths: rows of each window of a sample; parts: the part of the takes that each is of.
    """

    def __init__(self, lengths: list[int], parts: np.ndarray, num_samples: int, options: config.Evaluate):
        self.ends, self.parts = np.cumsum(lengths), parts
        self.num_rows = int(self.ends[-1])
        count = self.num_rows * num_samples
        self.num_pairs = min(options.num_pairs, count)
        self.pairs = Pairs(count, self.num_pairs, np.random.default_rng(options.seed))

    def add(self, sample: int, window: int, rows: np.ndarray) -> None:
        """Read the rows of a window of a sample."""
        self.pairs.add(sample * self.num_rows + int(self.ends[window]) - len(rows), rows)

    def distance(self, *, without: int | None = None, sample: int | None = None) -> float | None:
        """Mean distance of all pairs, of those without the takes of a part, or of one sample alone.

        Of what is left, pairs stay as they were drawn; of one sample, its rows are paired anew by position,
        or few pairs would be left.
        """
        drawn = self.pairs.drawn
        if sample is not None:
            return self.pairs.distance(*(drawn // self.num_rows == sample))
        if without is None:
            return self.pairs.distance()
        window = np.searchsorted(self.ends, drawn % self.num_rows, "right")
        both = (self.parts[window] != without).all(0)
        return self.pairs.distance(both, both)


class Counted:
    """What is counted of a row: by parts of the takes over all samples, and by sample over all takes."""

    def __init__(self, setting: Setting, num_samples: int):
        self.by_part = [Tally() for _ in range(setting.num_parts)]
        self.by_sample = [Tally() for _ in range(num_samples)]
        self.num_windows = sum(map(len, setting.windows))
        persons = setting.persons
        self.lengths = [b - a for windows in setting.windows for a, b in windows for _ in range(persons)]
        self.parts = np.repeat(
            np.arange(len(setting.takes)) % setting.num_parts,
            [persons * len(windows) for windows in setting.windows],
        )
        self.drawn: dict[str, Drawn] = {}
        self.num_rows: int | None = None
        self.num_pairs: int | None = None

    def add(self, part: int, sample: int, tally: Tally) -> None:
        """Count a tally of one sample of a take in a part."""
        self.by_part[part].merge(tally)
        self.by_sample[sample].merge(tally)

    def draw(self, options: config.Evaluate) -> None:
        """Draw the random pairs of bodies, and of their steps between frames where they are asked for."""
        samples = len(self.by_sample)
        for name in reading_of(options).drawn:
            lengths = [length - (name == "Div_k") for length in self.lengths]
            self.drawn[name] = Drawn(lengths, self.parts, samples, options)
        self.num_rows = sum(self.lengths) * samples
        if "Div_g" in self.drawn:
            self.num_pairs = self.drawn["Div_g"].num_pairs

    def distances(self, *, without: int | None = None, sample: int | None = None) -> dict[str, float | None]:
        """Scores of random pairs, by name; see `Drawn.distance`."""
        return {name: own.distance(without=without, sample=sample) for name, own in self.drawn.items()}


def readings(options: config.Evaluate) -> dict[str, str]:
    """Options of the body metrics that are not the reference code's, by name."""
    code = config.Evaluate()
    return {name: own for name in READINGS if (own := getattr(options, name)) != getattr(code, name)}


def reading_of(options: config.Evaluate) -> metrics.Reading:
    """How the options have the metrics of bodies read."""
    rate = FPS if options.body_rates == "second" else 1
    return metrics.Reading(rate, options.body_pairs, options.div_k, options.div_sample)


def _live(stats: dict, name: str, still) -> tuple[np.ndarray, np.ndarray]:
    """Which channels of a statistic move, (D,) bool, and the deviations of those."""
    std = np.array(stats[name]["std"])
    return std >= still, std[std >= still]


def _motions(sample: Sample, shard: Shard, span: TakeSpan) -> list[Motion]:
    """Both bodies of a sample in the room."""
    if sample.motions is not None:
        return sample.motions
    assert sample.body is not None and sample.root is not None
    return [
        pose.decode(sample.body[:, k], sample.root[:, k], shard.skeleton(performance))
        for k, performance in enumerate(span.performances)
    ]


def _check(body: np.ndarray, span: TakeSpan) -> None:
    """InputError where bodies (N, 2, 3 J) cannot be measured."""
    metrics.need_finite(body, f"take {span.take}, bodies")
    if len(body) < 2:
        raise InputError(f"take {span.take}: got 1 frame, need 2 or more for the body metrics; leave it out")


def _moves(setting: Setting, index: int, sample: Sample) -> Tally:
    """What is counted of the bodies of a take's sample in the room."""
    shard, span = setting.takes[index]
    motions, own = _motions(sample, shard, span), Tally()
    placed = [forward_kinematics(motion) for motion in motions]
    found, pushed = space.measure(
        motions, setting.windows[index], setting.facing, placed=placed, real=setting.real_of(index)
    )
    for name, values in found.items():
        own.add_values(name, values)
    if pushed is not None:
        own.add_mean("accel_body", pushed, motions[0].num_frames - 2)
    mel, asked = (np.asarray(shard[name][span.start_frame : span.stop_frame]) for name in ("mel", "action"))
    asked = asked if sample.asked is None else sample.asked
    for k, (motion, (world, _)) in enumerate(zip(motions, placed)):
        if (agrees := space.as_asked(motion, asked[:, k])) is not None:
            own.add_values("agrees", agrees)
        _gestures(motion, world, mel[:, k], own)
    return own


def _gestures(motion: Motion, world: np.ndarray, mel: np.ndarray, own: Tally) -> None:
    """Count how hands and voice (N, M) of a performance go together, where the skeleton has hands."""
    found = motion.aliases()
    hands = [found[f"{side}Hand"] for side in SIDES if f"{side}Hand" in found]
    if not hands:
        return
    hips = world[:, found["Hips"]]
    beats = np.unique(np.concatenate([gestures.hand_beats(hips, world[:, hand]) for hand in hands]))
    pair = gestures.together(beats, gestures.voice_onsets(mel), len(world))
    own.add_mean("beats_min", pair.beats / (len(world) / FPS / 60), len(world))
    for name, value, weight in (
        ("beat_align", pair.align, pair.beats),
        ("beat_align_chance", pair.align_chance, pair.beats),
        ("beat_consistency", pair.consistency, pair.onsets),
        ("beat_consistency_chance", pair.consistency_chance, pair.onsets),
    ):
        if value is not None:
            own.add_mean(name, value, weight)


def row_width(setting: Setting, width: int) -> int:
    """Values of an actor in a row of bodies, whose joints have `width`."""
    values = setting.options.body_values
    parts = {"radians": [], "standardised": ["body"], "features": ["body", "relative_root"]}[values]
    still = {"body": STILL["body"], "relative_root": STILL["root"]}
    return sum(int(_live(setting.stats, name, still[name])[0].sum()) for name in parts) or width


def _relative(made: list[Sample]) -> np.ndarray:
    """Relative roots (S, T, 2, 4) of a take's samples."""
    roots = np.stack([np.asarray(sample.root, np.float64) for sample in made])
    return np.moveaxis(pose.relative_root(np.moveaxis(roots, 2, 1)), 1, 2)


def _rows(setting: Setting, made: list[Sample], bodies: np.ndarray) -> np.ndarray:
    """Rows of bodies (S, T, 2, 3 J) as the options have them: (S, persons, T, D).

    Channels that are still are left out where the others are divided by their deviations.
    """
    values, stats = setting.options.body_values, setting.stats
    if values != "radians":
        scaled = [(bodies, "body", STILL["body"])]
        if values == "features":
            scaled.append((_relative(made), "relative_root", STILL["root"]))
        parts = []
        for part, name, still in scaled:
            live, std = _live(stats, name, still)
            parts.append((part[..., live] - np.array(stats[name]["mean"])[live]) / std)
        bodies = np.concatenate(parts, -1)
        if not bodies.shape[-1]:
            raise InputError(
                f"evaluate.body_values: got {values}, but no channel moves in the train split; take radians"
            )
    if setting.persons == 2:
        return np.moveaxis(bodies, 2, 1)
    return bodies.reshape(*bodies.shape[:2], -1)[:, None]


def _bodies(setting: Setting, index: int, made: list[Sample], counted: Counted) -> None:
    """Count the poses of a take's samples."""
    part, windows, stats = index % setting.num_parts, setting.windows[index], setting.stats
    bodies = np.stack([np.asarray(sample.body, np.float64) for sample in made])
    rows, reading = _rows(setting, made, bodies), reading_of(setting.options)
    first = setting.persons * sum(map(len, setting.windows[:index]))
    for s in range(len(made)):
        own = Tally()
        for number, (a, b, person) in enumerate(
            (a, b, person) for a, b in windows for person in range(setting.persons)
        ):
            window = rows[s, person, a:b]
            metrics.add_window(own, window, reading)
            for name, drawn in counted.drawn.items():
                paired = window if name == "Div_g" else metrics.steps_of(window, reading)
                drawn.add(s, first + number, paired)
        counted.add(part, s, own)
    for a, b in windows:
        for person in range(setting.persons):
            spread = metrics.over_samples(rows[:, person, a:b], reading)
            counted.by_part[part].add_mean("Div_sample", spread, b - a)
    if len(made) > 1:
        relative = _relative(made)
        moves, std = zip(_live(stats, "body", STILL["body"]), _live(stats, "relative_root", STILL["root"]))
        if (live := np.concatenate(moves)).any():
            spread = metrics.sample_spread(
                np.concatenate([bodies, relative], -1)[..., live], np.concatenate(std)
            )
            counted.by_part[part].add_mean("spread_body", spread, bodies.shape[1])


def _faces(setting: Setting, index: int, made: list[Sample], counted: Counted) -> None:
    """Count the faces of a take's samples."""
    shard, span = setting.takes[index]
    part = index % setting.num_parts
    actors = setting.faces_of(span)
    if not actors:
        return
    faces = np.stack([np.asarray(sample.face, np.float64)[:, list(actors)] for sample in made])
    metrics.need_finite(faces, f"take {span.take}, faces")
    pushed = np.abs(np.stack([metrics.acceleration(face, fps=FPS) for face in faces])).mean((2, 3))
    own = [Tally() for _ in made]
    for tally, values in zip(own, pushed):
        if len(values):
            tally.add_mean("accel_face", values.mean(), len(values))
    mel = np.asarray(shard["mel"][span.start_frame : span.stop_frame])[:, list(actors)]
    for tally, face in zip(own, faces):
        for k in range(len(actors)):
            tally.add_mean("blinks_min", speaking.blinks_per_minute(face[:, k]), len(face))
            tally.add_mean("upper_face", speaking.upper_face_speed(face[:, k]), len(face))
            if (follows := speaking.jaw_and_voice(face[:, k], mel[:, k])) is not None:
                tally.add_mean("jaw_voice", follows, 1)
    if setting.rigs is not None:
        real = np.asarray(shard["face"][span.start_frame : span.stop_frame])[:, list(actors)]
        for k, actor in enumerate(actors.values()):
            rig, areas = setting.rigs.of(actor)
            asked = list(faces[:, :, k]) + ([faces[:, :, k].mean(0)] if len(faces) > 1 else [])
            errors = sampled_face_errors(asked, real[:, k], rig, areas)
            for tally, found in zip(own, errors):
                tally.add_mean("LVE_cm2", found.lve, 1)
                tally.add_mean("LVE_frames_cm2", found.lve, len(real))
                tally.add_mean("LVE_root_cm", found.lve_root, 1)
                tally.add_mean("LVE_root_frames_cm", found.lve_root, len(real))
                tally.add_mean("FDD_cm2", found.fdd, 1)
                tally.add_mean("FDD_root_cm", found.fdd_root, 1)
            counted.by_part[part].add_mean("LVE_mean_cm2", errors[-1].lve, 1)
    for tally, face in zip(own, faces):
        for k, (place, actor) in enumerate(actors.items()):
            _mouth(setting, actor, span.performances[place], face[:, k], tally)
    for s, tally in enumerate(own):
        counted.add(part, s, tally)
    moves, std = _live(setting.stats, "face", STILL["face"])
    if len(made) > 1 and moves.any():
        counted.by_part[part].add_mean(
            "spread_face", metrics.sample_spread(faces[..., moves], std), faces.shape[1]
        )


def _mouth(setting: Setting, actor: str, performance: str, face: np.ndarray, own: Tally) -> None:
    """Count the mouth of a performance (N, 51): whose it is, and where its lips are shut."""
    if setting.mouths is None:
        return
    mouth, rows = setting.mouths.of[actor], setting.mouths.rows(face)
    if rows.shape[1]:
        own.add_rows(f"{MOUTH} {actor}", rows)
    if rows.shape[1] and (nearer := setting.mouths.nearer(actor, rows)):
        if others := [share for name, share in nearer.items() if name in setting.mouths.of]:
            own.add_mean("mouth_own", float(np.mean(others)), len(rows))
        for other, share in nearer.items():
            own.add_mean(f"{MOUTH} {actor} {other}", share, len(rows))
    if setting.phonemes is not None and mouth.gap is not None and mouth.shut_below is not None:
        found = lips.closures(mouth.gap.of(face) <= mouth.shut_below, setting.phonemes[performance])
        if found.instants:
            own.add_mean("plosives_closed", found.closed / found.instants, found.instants)
        if found.frames:
            own.add_mean("plosives_false", found.shut / found.frames, found.frames)


def count(setting: Setting, samples: list[Source]) -> Counted:
    """Read a row's samples of all takes, one take at a time.

    Poses and faces are only counted where all samples have them.
    """
    counted = Counted(setting, len(samples))
    for index, (shard, span) in enumerate(setting.takes):
        made, part = [], index % setting.num_parts
        for s, source in enumerate(samples):
            sample = source(shard, span)
            if sample.body is not None:
                _check(sample.body, span)
                counted.add(part, s, _moves(setting, index, sample))
            made.append(replace(sample, motions=None))  # the largest part, which nothing needs any more
        if all(sample.body is not None for sample in made):
            if not index:
                counted.draw(setting.options)
            _bodies(setting, index, made, counted)
        if all(sample.face is not None for sample in made):
            _faces(setting, index, made, counted)
    return counted


def mouth_pairs(counted: Counted, mouths: Mouths) -> list[dict]:
    """Every actor's mouth in a row against every captured one: a row for each pair.

    Captured are all actors, and the lip-accurate set where there is one.

    actor, of, frames (over all samples), mouth_FD: Frechet distance of the actor's shapes to the captured
    ones of `of`; nearer_own: share of frames nearer to the actor's own captured mean than to that of `of`,
    None of the own.
    """
    everything = merged(counted.by_part)
    return [
        {
            "actor": actor,
            "of": other,
            "frames": everything.rows[f"{MOUTH} {actor}"].count,
            "mouth_FD": metrics.frechet(everything.rows[f"{MOUTH} {actor}"], captured),
            "nearer_own": everything.average(f"{MOUTH} {actor} {other}"),
        }
        for actor in mouths.of
        if f"{MOUTH} {actor}" in everything.rows
        for other, captured in mouths.references.items()
    ]


def score(
    made: Tally, real: Tally, *, repeats: int = 1, mouths: Mouths | None = None
) -> dict[str, float | None]:
    """Scores of what was counted, all but those of random pairs; each real row counts `repeats` times."""
    found = {name: made.average(name) for name in COLUMNS}
    if "frames" in made.rows:
        for name, rows in (("FD_g", "frames"), ("FD_k", "steps")):
            found[name] = metrics.frechet(made.rows[rows], real.rows[rows], repeats_y=repeats)
    if mouths is not None:
        own_mouths = [
            metrics.frechet(made.rows[f"{MOUTH} {actor}"], mouth.rows)
            for actor, mouth in mouths.of.items()
            if f"{MOUTH} {actor}" in made.rows
        ]
        found["mouth_FD"] = float(np.mean(own_mouths)) if own_mouths else None
    for name in ("accel_body", "accel_face", "upper_face"):
        own, true = found[name], real.average(name)
        found[name] = own / true if own is not None and true else None
    for name, (mean, median, distance) in DISTRIBUTIONS.items():
        own_values, real_values = made.distribution(name), real.distribution(name)
        if own_values is not None:
            found[mean] = float(own_values.mean(dtype=np.float64))
        if own_values is not None and median:
            found[median] = float(np.median(own_values))
        if own_values is not None and real_values is not None and distance:
            found[distance] = metrics.wasserstein(own_values, real_values)
    return found


class Truth:
    """What is counted of the real takes: of all, and of all but one part; and the captured mouths."""

    def __init__(self, real: Counted, mouths: Mouths | None = None):
        self.mouths = mouths
        count = len(real.by_part)
        self.whole = merged(real.by_part)
        self.without = [_but_one(real.by_part, left) for left in range(count if count > 1 else 0)]


def _but_one(tallies: list[Tally], left: int) -> Tally:
    """The tally of all but one."""
    return merged(tally for i, tally in enumerate(tallies) if i != left)


def intervals(counted: Counted, truth: Truth) -> dict[str, float | None]:
    """Half-widths of 95 % intervals by `<score>_seeds` and `<score>_takes`; None where fewer than two."""
    samples = len(counted.by_sample)
    alone = [
        score(counted.by_sample[s], truth.whole, mouths=truth.mouths) | counted.distances(sample=s)
        for s in range(samples if samples > 1 else 0)
    ]
    without = [
        score(_but_one(counted.by_part, left), real, repeats=samples, mouths=truth.mouths)
        | counted.distances(without=left)
        for left, real in enumerate(truth.without)
    ]
    found: dict[str, float | None] = {}
    for name in COLUMNS:
        for ending, scores, width in (
            ("seeds", alone, half_width),
            ("takes", without, jackknife_half_width),
        ):
            values = [value for each in scores if (value := each[name]) is not None]
            found[f"{name}_{ending}"] = width(values) if len(values) == len(scores) else None
    return found


def row_of(counted: Counted, truth: Truth, options: config.Evaluate) -> dict:
    """A row of the table: the scores, their intervals, and on how much they were computed."""
    samples, everything = len(counted.by_sample), merged(counted.by_part)
    row: dict = {"samples": samples, "windows": counted.num_windows, "window_frames": options.window_frames}
    row |= score(everything, truth.whole, repeats=samples, mouths=truth.mouths)
    row |= counted.distances()
    row |= intervals(counted, truth)
    if counted.num_rows is not None:
        row["num_rows"] = counted.num_rows
    if counted.num_pairs is not None:
        row["num_pairs"] = counted.num_pairs
    if performances := everything.sums.get("LVE_mean_cm2", (0, 0))[1]:
        row["performances"] = int(performances)
    return row
