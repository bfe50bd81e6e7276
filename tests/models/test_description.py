"""A model.json, generated.json or stats.json from anywhere: one line, or a model that works.

Nothing is written outside of the folder.
"""

import copy
import json
import random
import shutil

import numpy as np
import pytest
from helpers.tiny_shards import TEXT_WIDTH

from models import evaluate, generate, runs
from models.data import shards_of
from models.description import check_moments
from models.speech import separation_net
from pipeline.config import Generate
from pipeline.errors import InputError

ESCAPE = "x/../../../../ESCAPED/e"
DEEP = "DEEP"
"""Stands for a JSON nested 100,000 deep, which no value of Python's writes."""
ODD = [
    None,
    True,
    -1,
    0,
    3.5,
    10**9,
    10**30,
    1e30,
    "",
    "x",
    ESCAPE,
    "../e",
    "-rf",
    "é\n",
    "a" * 5000,
    [],
    [[]],
    {},
    {"a": 1},
    ["001", "001"],
    DEEP,
]


def nodes(value, place=()):
    """Places of all values in a JSON, lists by their first and last."""
    yield place
    items = (
        value.items()
        if isinstance(value, dict)
        else [(i, value[i]) for i in {0, len(value) - 1}]
        if isinstance(value, list) and value
        else []
    )
    for key, item in items:
        yield from nodes(item, (*place, key))


def changed(value, place, new):
    """A JSON with another value at a place; `...` takes it away."""
    result = copy.deepcopy(value)
    owner = result
    for key in place[:-1]:
        owner = owner[key]
    if not place:
        return new
    if new is ...:
        del owner[place[-1]]
    else:
        owner[place[-1]] = new
    return result


def text_of(value) -> str:
    return json.dumps(value).replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000)


@pytest.fixture
def model(request, trained, tmp_path):
    """A copy of a trained model's folder."""
    return shutil.copytree(
        trained.runs / request.param, tmp_path / request.param, ignore=shutil.ignore_patterns("checkpoints")
    )


@pytest.mark.parametrize("model", ["face", "body_upper"], indirect=True)
def test_whatever_stands_in_a_model_json_is_one_line_or_a_model(model):
    path = model / "model.json"
    good = json.loads(path.read_text())
    places, refused = list(nodes(good)), 0
    draw = random.Random("model.json")
    for place in places[:8] + [draw.choice(places) for _ in range(250)]:
        path.write_text(
            text_of(changed(good, place, draw.choice([..., *ODD]) if place else draw.choice(ODD)))
        )
        try:
            run = runs.load(model)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1000 and "model.json" in str(error)
        else:
            for actor in run.description["actors"]:
                assert len(run.skeleton(actor).names) == len(good["joint_names"])
    assert refused > 150


def given(description, depth):
    """A run that is given a run that is given a run, and so on."""
    return {"other": description | {"given": given(description, depth - 1)}} if depth else {}


FAULTS = {
    "list": lambda d: [d],
    "actors": lambda d: d | {"actors": [ESCAPE, *d["actors"][1:]]},
    "actors with a hyphen first": lambda d: d | {"actors": ["-rf", *d["actors"][1:]]},
    "no actors": lambda d: d | {"actors": [], "skeletons": {}},
    "skeletons of others": lambda d: d | {"skeletons": {}},
    "NaN": lambda d: d | {"stats": d["stats"] | {"face": {"mean": [float("nan")] * 51, "std": [1.0] * 51}}},
    "beyond numbers": lambda d: d | {"features": d["features"] | {"mel_fmax": float("inf")}},
    "negative deviation": lambda d: (
        d | {"stats": d["stats"] | {"face": {"mean": [0.0] * 51, "std": [-1.0] * 51}}}
    ),
    "a circle of joints": lambda d: d | {"parents": [-1] + [len(d["parents"]) - 1] * (len(d["parents"]) - 1)},
    "joints with a line": lambda d: d | {"joint_names": ["Hips\n{", *d["joint_names"][1:]]},
    "width of 10^9": lambda d: d | {"options": d["options"] | {"dim": 10**9}},
    "width that the weights lack": lambda d: (
        d | {"options": d["options"] | {"dim": 65_536, "feedforward": 65_536}}
    ),
    "another option": lambda d: d | {"options": d["options"] | {"x": 1}},
    "features": lambda d: d | {"features": {"num_mels": 8, "mel_fft": 1024, "mel_fmax": 8000.0, "path": "x"}},
    "a layer of another kind": lambda d: (
        d | {"speech_encoder": {"model": "package", "layer": "first", "width": 3}}
    ),
    "the wrong recipe": lambda d: d | {"recipe": "../face"},
    "another recipe": lambda d: d | {"recipe": "body"},
    "no recipe": lambda d: {key: value for key, value in d.items() if key != "recipe"},
    "a run that is no name": lambda d: d | {"run": "../../face"},
    "a run with a line": lambda d: d | {"run": "face\n"},
    "the format before": lambda d: d | {"format_version": 1, "model": "face"},
    "given that is none": lambda d: d | {"given": {"other": {}}},
    "given with another's actors": lambda d: d | {"given": {"other": d | {"actors": [ESCAPE]}}},
    "given given given": lambda d: d | {"given": given(d, 10)},
    "names of others": lambda d: d | {"feature_names": d["feature_names"][::-1]},
}


@pytest.mark.parametrize("model", ["face"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_model_json_that_is_none_is_one_line(fault, model):
    path = model / "model.json"
    path.write_text(json.dumps(fault(json.loads(path.read_text()))))
    with pytest.raises(InputError) as caught:
        runs.load(model)
    assert "model.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["face"], indirect=True)
def test_runs_that_a_run_was_given_are_part_of_it(model):
    path = model / "model.json"
    good = json.loads(path.read_text())
    path.write_text(json.dumps(good | {"given": given(good, 3)}))
    assert runs.load(model).model.meta.given == given(good, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"a": 1, "a": 2}',
        b"NaN",
    ],
)
@pytest.mark.parametrize("model", ["face"], indirect=True)
def test_what_is_no_json_is_one_line(content, model, tmp_path):
    (model / "model.json").write_bytes(content)
    (model / "generated.json").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.json"):
        runs.load(model)
    with pytest.raises(InputError, match=r"model\.json"):
        separation_net.load(model / "model.safetensors")
    with pytest.raises(InputError, match=r"generated\.json"):
        evaluate.num_samples(model / "generated.json")


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "2", 10**9, 10**30, None, [1]])
def test_a_number_of_samples_that_is_none_is_one_line(value, tmp_path):
    (tmp_path / "generated.json").write_text(json.dumps({"num_samples": value}))
    with pytest.raises(InputError, match="generated.json: "):
        evaluate.num_samples(tmp_path / "generated.json")


@pytest.mark.parametrize(
    "sizes",
    [
        None,
        [],
        {},
        {"width": 4},
        {"width": 4, "widest": 8, "lip_width": 10**12},
        {"width": True, "widest": 8, "lip_width": 4},
    ],
)
def test_sizes_of_a_separation_network_that_are_none_are_one_line(sizes, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    (tmp_path / "model.json").write_text(
        json.dumps({"model": "separation", "format_version": 1, "sizes": sizes})
    )
    with pytest.raises(InputError, match="sizes are"):
        separation_net.load(tmp_path / "model.safetensors")


def test_statistics_that_are_none_are_one_line(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "shards")
    good = json.loads((folder / "stats.json").read_text())
    places, refused = list(nodes(good)), 0
    draw = random.Random("stats.json")
    for _ in range(80):
        place = draw.choice(places)
        (folder / "stats.json").write_text(
            text_of(changed(good, place, draw.choice([..., *ODD]) if place else draw.choice(ODD)))
        )
        try:
            shards_of(folder)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and "stats.json" in str(error)
    assert refused > 40
    assert check_moments(good, "stats.json") is good


@pytest.fixture
def voices(tmp_path):
    import soundfile

    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
        (tmp_path / f"{name}.json").write_text(json.dumps({"words": []}))
    return {
        "audio": [tmp_path / "a.wav", tmp_path / "b.wav"],
        "transcripts": [tmp_path / "a.json", tmp_path / "b.json"],
    }


NOTHING = dict.fromkeys("shards takes audio transcripts actions facing actors placement".split()) | {
    "name": "00000000_000"
}


@pytest.fixture
def generate_into(trained, voices, monkeypatch):
    monkeypatch.setattr(
        "pipeline.shards.text.embed_words", lambda words, **_: np.ones((len(words), TEXT_WIDTH), np.float32)
    )
    options = Generate(window_frames=48, overlap_frames=16, device="cpu")
    return lambda out, **changes: generate.run(
        **NOTHING | voices | {"runs": [trained.runs], "out": out, "options": options} | changes
    )


def test_nothing_is_written_outside_of_the_folder(generate_into, trained, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*"))
    copied = shutil.copytree(trained.runs, tmp_path / "runs")
    for path in copied.glob("*/model.json"):
        found = json.loads(path.read_text())
        found["skeletons"][ESCAPE] = found["skeletons"].pop(found["actors"][0])
        found["actors"][0] = ESCAPE
        path.write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"actor is 'x/\.\./\.\./"):
        generate_into(tmp_path / "out", runs=[copied])
    for name in (
        f"20240101_{ESCAPE}",
        "../20240101_1",
        "20240101_-rf",
        "2024_1",
        "20240101_1_2",
        "20240101_",
        "٢٠٢٤٠١٠١_001",
    ):
        with pytest.raises(InputError, match="--name"):
            generate_into(tmp_path / "out", name=name)
    shutil.rmtree(copied)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_link_in_the_folder_leads_nothing_out_of_it(generate_into, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "bvhs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="which is outside"):
        generate_into(tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == [] and not (tmp_path / "out" / "face_arkit").exists()
