"""One take of the simulated shoot, and the truth about it.

In: the name of a take of the plan and a seed. Out, under --out: <take>/ with bodies, face meshes, microphones
and timecode.json, as a shoot has them; under --truth: <take>/ with what really happened (docs/simulate.md).
The same take, seed and options give the same bytes, whichever takes were made before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config, stage
from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.formats.bvh import save_bvh
from pipeline.formats.timecode import format_timecode
from pipeline.motion import rotations, skeleton
from pipeline.motion.motion import Motion
from pipeline.simulate import plan, recording
from pipeline.simulate.dialogue import Turn, draw_sentences, place
from pipeline.simulate.face import evaluate_face, plan_face, stressed_times
from pipeline.simulate.figure import Figure
from pipeline.simulate.head import make_head
from pipeline.simulate.motion import animate, plan_manner
from pipeline.simulate.recording import BODY_RATE, FACE_RATE
from pipeline.simulate.script import Script, direction, plan_scripts, wrap
from pipeline.simulate.speech import RATE, Utterance, speak
from pipeline.simulate.touch import Touch, plan_touches, reach

FPS = 30
MARGINS_S = (0.3, 1.5)  # how long before the scene a recorder starts, and how long after it stops
SHARED_MARGIN_S = 0.95  # what the shortest margins of six streams add to the window, on average
FACING_RAD = np.pi / 4
DRIFT_DRAWS, JITTER_DRAWS, TOUCH_DRAWS = (
    1,
    2,
    3,
)  # generators of their own, so that clocks and touches change nothing else
MEETING_PAUSE_S = (25.0, 50.0)
RATES = {"body": BODY_RATE, "face": FACE_RATE, "audio": RATE}


@dataclass(frozen=True)
class Streams:
    """When the recorders run.

    start {stream: seconds}, size {stream: frames or samples} and drift {stream: ppm} of each actor.

    Starts are seconds of day, past midnight 86,400 and more.
    """

    start: list[dict[str, float]]
    size: list[dict[str, int]]
    drift_ppm: list[dict[str, float]]

    def rate(self, k: int, name: str) -> float:
        """True rate of actor k's stream, frames or samples per second."""
        return RATES[name] * (1 + self.drift_ppm[k][name] * 1e-6)

    @property
    def window(self) -> tuple[float, float]:
        """The latest first sample and the earliest last sample of all streams, seconds of day."""
        stops = [
            s[name] + (self.size[k][name] - 1) / self.rate(k, name)
            for k, s in enumerate(self.start)
            for name in s
        ]
        return max(t for s in self.start for t in s.values()), min(stops)


def plan_streams(
    begin: float, seconds: float, rng: np.random.Generator, drift_ppm: list[dict[str, float]]
) -> Streams:
    """Draw when each recorder starts and stops round a scene of about `seconds`.

    The scene begins at `begin` seconds of day.
    """
    end = begin + seconds - SHARED_MARGIN_S
    start, size = [], []
    for _ in range(2):
        early, late = rng.uniform(*MARGINS_S, 3), rng.uniform(*MARGINS_S, 3)
        times = {
            "body": recording.on_clock(begin - early[0], BODY_RATE),
            "face": recording.on_clock(begin - early[1], FACE_RATE),
        }
        times["audio"] = round((begin - early[2]) * RATE) / RATE
        start.append(times)
        size.append(
            {name: int((end + late[i] - times[name]) * RATES[name]) + 1 for i, name in enumerate(times)}
        )
    return Streams(start, size, drift_ppm)


def draw_drifts(row: dict[str, str], seed: int, options: config.Simulate) -> list[dict[str, float]]:
    """Drift of each actor's recorders, ppm: of the face, and of the microphone where LTC can show it."""
    rng = np.random.default_rng([seed, int(row["date"]), int(row["scenario"]), DRIFT_DRAWS])
    face, sound = rng.uniform(-options.drift_ppm, options.drift_ppm, (2, 2))
    return [
        {"body": 0.0, "face": float(face[k]), "audio": float(sound[k]) if options.ltc else 0.0}
        for k in range(2)
    ]


def dry_voice(turns: list[Turn], start: float, size: int, level: float) -> np.ndarray:
    """An actor's dry voice (S,) float32 on the recorder's clock."""
    result = np.zeros(size, np.float32)
    for turn in turns:
        at = round((turn.start - start) * RATE)
        result[at : at + len(turn.utterance.samples)] += level * turn.utterance.samples
    return result


def head_paths(motion: Motion, start: float, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 2) and ground directions (N, 2) of the head at `times`, x and z.

    From a motion that begins at `start`.
    """
    trunk = [
        motion.names.index(name)
        for name in ("Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Neck1", "Head")
    ]
    positions, world = skeleton.chain(
        np.arange(len(trunk)) - 1, motion.positions_cm[:, trunk], motion.rotations[:, trunk]
    )
    forward = rotations.rotate(world[:, -1], np.array([0.0, 0.0, 1.0]))
    clock = start + np.arange(motion.num_frames) / motion.fps
    place, ahead = (
        [np.interp(times, clock, values[:, axis]) for axis in (0, 2)]
        for values in (positions[:, -1], forward)
    )
    return np.stack(place, -1), np.stack(ahead, -1)


def facing(motions: list[Motion], starts: list[float], times: np.ndarray) -> list[np.ndarray]:
    """For each actor (N,) uint8: 1 where the head points within 45 degrees of the partner's head.

    Angles are on the ground.
    """
    paths = [head_paths(motion, start, times) for motion, start in zip(motions, starts, strict=True)]
    result = []
    for k, (head, ahead) in enumerate(paths):
        angle = wrap(direction(paths[1 - k][0] - head) - direction(ahead))
        result.append((np.abs(angle) <= FACING_RAD).astype(np.uint8))
    return result


def _save(path: Path, array: np.ndarray) -> None:
    with whole(path) as temporary:
        np.save(temporary, array)


def _bodies(
    scripts: list[Script], turns: list[list[Turn]], actors: list[str], streams: Streams, rngs: list
) -> list[Motion]:
    """Both actors' motions on their own body clocks."""
    motions = []
    for k, actor in enumerate(actors):
        start, size = streams.start[k]["body"], streams.size[k]["body"]
        talks = [(turn.start, turn.start + turn.utterance.seconds) for turn in turns[k]]
        manner = plan_manner(talks, stressed_times(turns[k]), start, start + size / BODY_RATE, rngs[k])
        motions.append(animate(Figure(actor), scripts[k], scripts[1 - k], manner, start, size))
    return motions


def _closed_from(utterance: Utterance, start: float) -> float:
    """When the silence before a sound at `start` begins, at most 0.1 s earlier.

    A voiceless stop's closure, which espeak-ng gives no phoneme.
    """
    first = round(start * RATE)
    before = np.abs(utterance.samples[max(first - RATE // 10, 0) : first])
    loud = np.flatnonzero(before > 1e-3 * np.abs(utterance.samples).max())
    return start - (len(before) - 1 - loud[-1]) / RATE if len(loud) else start


def spoken(turns: list[Turn]) -> tuple[list[dict], list[dict], list[dict]]:
    """Words, sentences and phonemes of an actor with their times, seconds of day.

    Phonemes are IPA, with the index of their word.

    p, t and k after another sound start with their closure.
    """
    words: list[dict] = []
    said, phonemes = [], []
    for turn in turns:
        times = turn.utterance.word_times()
        for p in turn.utterance.phonemes:
            start = (
                _closed_from(turn.utterance, p.start)
                if p.ipa[0] in "ptk" and p is not turn.utterance.phonemes[0]
                else p.start
            )
            phonemes.append(
                {
                    "phoneme": p.ipa,
                    "start": turn.start + start,
                    "end": turn.start + p.end,
                    "word": len(words) + p.word,
                }
            )
        said.append(
            {"text": turn.utterance.text, "start": turn.start + times[0][0], "end": turn.start + times[-1][1]}
        )
        words += [
            {"word": w, "start": turn.start + a, "end": turn.start + b}
            for w, (a, b) in zip(turn.utterance.words, times, strict=True)
        ]
    return words, said, phonemes


def _row(take: str, seed: int) -> dict[str, str]:
    """The take's row of the plan.

    Scenarios count from 1, and a row does not depend on how many come after it.
    """
    number = take.rpartition("_")[2]
    row = plan.plan_takes(int(number), seed)[-1] if number.isdigit() and 0 < int(number) < 1000 else None
    if row is None or row["take"] != take:
        first = plan.plan_takes(1, seed)[0]["take"]
        raise InputError(
            f"take {take}: not in the simulated shoot of seed {seed}; name a take of its takes.tsv, such as"
            f" {first}"
        )
    return row


@dataclass(frozen=True)
class Scene:
    """What happens in a take.

    Streams, each actor's own turns, scripts and motions, touches, and the generators still to be used.
    """

    streams: Streams
    turns: list[list[Turn]]
    scripts: list[Script]
    motions: list[Motion]
    touches: list[Touch]
    mic_rng: np.random.Generator
    face_rngs: list[np.random.Generator]
    mesh_rngs: list[np.random.Generator]


def _meetings(start: float, stop: float, rng: np.random.Generator) -> list[float]:
    """When the two set out to meet, seconds of day."""
    times = [start + rng.uniform(0.1, 0.4) * min(stop - start, MEETING_PAUSE_S[0])]
    while times[-1] < stop:
        times.append(times[-1] + rng.uniform(*MEETING_PAUSE_S))
    return times


def play(row: dict[str, str], *, seed: int, options: config.Simulate) -> Scene:
    """Let both actors of a row of takes.tsv speak and move for about `seconds`.

    Random only in seed, take and options.
    """
    seconds = options.seconds
    actors = [row["actor_a"], row["actor_b"]]
    rng = np.random.default_rng([seed, int(row["date"]), int(row["scenario"])])
    time_rng, talk_rng, script_rng, mic_rng, *own = rng.spawn(10)
    begin = plan.seconds_of_day(row, seconds) + time_rng.uniform(5, 15)
    if options.midnight:
        begin = 86_400.0 - seconds / 2
    streams = plan_streams(begin, seconds, time_rng, draw_drifts(row, seed, options))
    start, stop = streams.window
    sentences = draw_sentences(seconds, talk_rng)
    utterances = [
        speak(texts, actor, int(talk_rng.integers(1, 2**31)))
        for texts, actor in zip(sentences, actors, strict=True)
    ]
    both = place(utterances, start, stop, talk_rng)
    turns = [[turn for turn in both if turn.actor == k] for k in range(2)]
    outside = MARGINS_S[1] + 0.5
    touch_rng = np.random.default_rng([seed, int(row["date"]), int(row["scenario"]), TOUCH_DRAWS])
    scripts = plan_scripts(
        start - outside, stop + outside, script_rng, meetings=_meetings(start, stop, touch_rng)
    )
    touches = plan_touches(scripts, start, stop, touch_rng)
    starts = [stream["body"] for stream in streams.start]
    motions, touches = reach(
        _bodies(scripts, turns, actors, streams, own[:2]),
        [Figure(actor) for actor in actors],
        starts,
        touches,
    )
    return Scene(streams, turns, scripts, motions, touches, mic_rng, own[2:4], own[4:6])


def _record_sound(scene: Scene, options: config.Simulate) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each actor what the microphone records and the own voice in it, (S_k,) each."""
    streams = scene.streams
    levels = 10 ** (scene.mic_rng.uniform(-3, 3, 2) / 20)
    voices = [
        dry_voice(scene.turns[k], streams.start[k]["audio"], streams.size[k]["audio"], levels[k])
        for k in range(2)
    ]
    middles = [motion.positions_cm[:, 0].mean(0) for motion in scene.motions]
    distance_cm = float(np.linalg.norm(middles[0] - middles[1]))
    for k in range(2):
        shift = round((streams.start[k]["audio"] - streams.start[1 - k]["audio"]) * RATE)
        heard = recording.microphone(
            voices[k], voices[1 - k], shift, distance_cm=distance_cm,
            crosstalk_db=options.crosstalk_db, noise_db=options.noise_db, rng=scene.mic_rng,
        )  # fmt: skip
        yield tuple(recording.drifted(x, streams.drift_ppm[k]["audio"]) for x in heard)  # type: ignore[misc]


@dataclass(frozen=True)
class FaceRecorder:
    """What records a face: first frame in seconds of day, number of frames, drift, and what it draws from."""

    start: float
    size: int
    drift_ppm: float
    face_rng: np.random.Generator
    mesh_rng: np.random.Generator


def record_face(
    recorder: FaceRecorder,
    turns: list[Turn],
    actor: str,
    emotion: str,
    mesh: Path,
    truth: Path,
    options: config.Simulate,
) -> None:
    """Write the mesh stream of an actor who says the turns, and `truth`.arkit.npy and .seconds.npy."""
    rng = recorder.face_rng
    frames = recording.kept_frames(recorder.size, options.drop_rate, rng)
    jitter = None
    if options.jitter_ms:
        jitter = (
            1e-3
            * options.jitter_ms
            * np.random.default_rng([int(rng.integers(2**31)), JITTER_DRAWS]).standard_normal(len(frames))
        )
    codes, seconds = recording.face_times(
        recorder.start, frames, drift_ppm=recorder.drift_ppm, jitter_seconds=jitter
    )
    own = plan_face(turns, emotion, seconds[0], seconds[-1], rng)
    weights = evaluate_face(own, seconds).astype(np.float32)
    head = make_head(actor, options.num_vertices)
    recording.write_mesh(
        mesh, head, weights, codes, actor=actor, noise_cm=options.mesh_noise_cm, rng=recorder.mesh_rng
    )
    _save(truth.with_name(f"{truth.name}.arkit.npy"), weights)
    _save(truth.with_name(f"{truth.name}.seconds.npy"), seconds)


def run(*, take: str, out: Path, truth: Path, seed: int, options: config.Simulate) -> None:
    """Write a take's folder of the shoot and its folder of the truth."""
    row = _row(take, seed)
    actors = [row["actor_a"], row["actor_b"]]
    scene = play(row, seed=seed, options=options)
    streams, window = scene.streams, scene.streams.window
    times = window[0] + np.arange(int((window[1] - window[0]) * FPS + 1e-6) + 1) / FPS
    faces = facing(scene.motions, [start["body"] for start in streams.start], times)
    record: dict[str, Any] = {"window": list(window), "start": dict(zip(actors, streams.start, strict=True))}
    record |= {"rate": {}, "words": {}, "said": {}, "phonemes": {}}
    record["touches"] = [
        vars(touch)
        | {
            "type": f"hand-{touch.kind.lower()}",
            "actor": actors[touch.actor],
            "of": actors[touch.of],
        }
        for touch in scene.touches
    ]
    for k, (actor, (mic, clean)) in enumerate(zip(actors, _record_sound(scene, options), strict=True)):
        name = f"{row['date']}_{actor}_{row['scenario']}"
        folder, apart, start = out / take, truth / take, streams.start[k]
        save_bvh(folder / f"{name}.bvh", scene.motions[k])
        channels = (
            mic
            if not options.ltc
            else np.stack(
                [mic, recording.ltc_channel(start["audio"], len(mic), streams.drift_ppm[k]["audio"])], 1
            )
        )
        recording.write_bwf(folder / f"{name}.wav", channels, start["audio"], date=row["date"])
        recording.write_bwf(apart / f"{name}.wav", clean, start["audio"], date=row["date"])
        recorder = FaceRecorder(
            start["face"],
            streams.size[k]["face"],
            streams.drift_ppm[k]["face"],
            scene.face_rngs[k],
            scene.mesh_rngs[k],
        )
        mesh = folder / f"{name}.mesh.h5"
        record_face(recorder, scene.turns[k], actor, row["emotion"], mesh, apart / name, options)
        _save(apart / f"{name}.actions.npy", scene.scripts[k].action_at(times))
        _save(apart / f"{name}.facing.npy", faces[k])
        record["rate"][actor] = {kind: streams.rate(k, kind) for kind in RATES}
        record["words"][actor], record["said"][actor], record["phonemes"][actor] = spoken(scene.turns[k])
    bodies = {
        actor: {"start": format_timecode(start["body"], BODY_RATE), "rate": BODY_RATE}
        for actor, start in zip(actors, streams.start, strict=True)
    }
    write_json(truth / take / "truth.json", record)
    entries = {"body": bodies} | (
        {"audio": {actor: {"channel": 1, "ltc": 2} for actor in actors}} if options.ltc else {}
    )
    write_json(out / take / "timecode.json", entries)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Simulate)
    parser.add_argument("--take", required=True, help="name of a take of takes.tsv, such as 20240108_001")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shoot")
    parser.add_argument("--truth", type=Path, required=True, help="folder of the truth")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shoot (default: 0)")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
