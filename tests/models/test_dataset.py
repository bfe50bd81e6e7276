"""The dataset for other people's training: content, batches, views without torch, and what cannot be."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from helpers.pages import README, REPOSITORY, blocks
from helpers.tiny_shards import TAKES
from torch.utils.data import DataLoader

from models.dataset import Dataset
from pipeline.errors import InputError
from pipeline.files import write_tsv
from pipeline.formats.shard_file import STREAMS as STORED_STREAMS
from pipeline.formats.shard_file import open_shards, write_sidecar
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.motion.clock import sample_of
from pipeline.motion.pose import partner_seen, relative_root
from pipeline.shards import index as shard_index
from pipeline.shards.streams import STREAMS, stream_table

PAGE = REPOSITORY / "docs" / "shards.md"
WITHOUT_SPEECH = tuple(name for name in STREAMS if name != "speech")


def index_with_labels(folder: Path) -> None:
    """Write the index of a folder of tiny shards again, with labels."""
    columns = dict.fromkeys(TAKE_COLUMNS, "")
    rows = [
        columns | {"take": t, "date": t[:8], "scenario": t[9:], "actor_a": a, "actor_b": b, "emotion": "joy"}
        for t, (a, b, *_) in TAKES.items()
    ]
    write_tsv(folder.parent / "dataset" / "takes.tsv", TAKE_COLUMNS, rows)
    paths = sorted(folder.glob("shard-*.h5"))
    shard_index.run(shards=paths, index=folder / "index.parquet", dataset=folder.parent / "dataset")


def write_speech(shards: Path, folder: Path, width: int = 5, model: str = "m") -> Path:
    """Sidecars of drawn features for a folder of shards."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for shard in open_shards(shards):
        lengths = {span.take: span.stop_frame - span.start_frame for span in shard.takes}
        features = [
            (rng.standard_normal((n, 2, width)).astype(np.float16), {"model": model})
            for n in lengths.values()
        ]
        write_sidecar(folder / shard.path.name, "speech", lengths, features)
    moments = {"mean": [0.5] * width, "std": [1.5] * width}
    stats = {"speech": moments, "encoder": {"model": model, "width": width}}
    (folder / "stats.json").write_text(json.dumps(stats))
    return folder


@pytest.fixture(scope="module")
def home(shards, tmp_path_factory) -> Path:
    """A folder with data/shards, whose index has labels."""
    home = tmp_path_factory.mktemp("home")
    (home / "data").mkdir()
    shutil.copytree(shards, home / "data" / "shards")
    index_with_labels(home / "data" / "shards")
    return home


@pytest.fixture(scope="module")
def speech(shards, tmp_path_factory) -> Path:
    """Sidecars of the tiny shards."""
    return write_speech(shards, tmp_path_factory.mktemp("sidecars") / "speech-0")


@pytest.fixture
def copy(shards, tmp_path) -> Path:
    """Shards that a test may change."""
    return Path(shutil.copytree(shards, tmp_path / "shards"))


def alike(a: dict, b: dict) -> bool:
    """Whether two items or batches hold the same, in the same order."""
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def expected(shard, span, first: int, stop: int) -> dict[str, np.ndarray]:
    """Streams of frames of a take by plain slices of its shard, but for audio."""
    rows = slice(span.start_frame + first, span.start_frame + stop)
    names = ("body", "root", "face", "mel", "action", "facing")
    found = {name: np.asarray(shard[name][rows]) for name in names}
    whole = np.asarray(shard["root"][span.start_frame : span.stop_frame])
    relative = np.stack([relative_root(whole[:, k]) for k in range(2)], 1)
    index = np.asarray(shard["text_index"][rows])
    text = np.where((index >= 0)[..., None], np.asarray(shard["text"])[index], 0)
    derived = {"relative": relative[first:stop], "relation": partner_seen(found["root"])}
    return found | derived | {"text": text, "spoken": index >= 0}


def test_an_item_holds_named_tensors_of_its_window(shards):
    dataset = Dataset(shards, window=24, stride=4)
    assert dataset.streams == WITHOUT_SPEECH and len(dataset) == sum(
        (n - 24) // 4 + 1 for n in (150, 170, 130)
    )
    number = (150 - 24) // 4 + 1 + 2  # third window of the second take
    item = dataset[number]
    shard, span = open_shards(shards)[0], open_shards(shards)[0].takes[1]
    for name, values in expected(shard, span, 8, 32).items():
        assert np.allclose(item[name], values, atol=1e-4 if name == "relative" else 0), name
    samples = span.start_sample + sample_of(8)
    assert np.array_equal(item["audio"], shard["audio"][samples : samples + 12_800])
    about = {name: value for name, value in item.items() if name not in dataset.streams}
    assert about.pop("actors").tolist() == [0, 2]
    assert about == {
        "take": "20240101_002",
        "split": "train",
        "performances": ("20240101_001_002", "20240101_003_002"),
        "start_frame": 8,
        "start_sample": 4267,
        "num_frames": 24,
        "num_samples": 12_800,
    }


@pytest.mark.parametrize("window", [24, None])
def test_items_have_the_shapes_and_types_of_the_table(shards, speech, window):
    dataset = Dataset(shards, window=window, speech=speech)
    item = dataset[0]
    assert tuple(dataset.shapes) == dataset.streams == tuple(STREAMS)
    sizes = {"3 J": 33, "51": 51, "4": 4, "2": 2, "M": 8, "D": 6, "E": 5}
    for name, about in STREAMS.items():
        first, *row = about.shape.strip("()").split(", ")
        length = item["num_samples" if first == "S" else "num_frames"]
        assert item[name].shape == (length, *(sizes[part] for part in row)), name
        assert str(item[name].dtype) == f"torch.{about.dtype}", name
        assert dataset.shapes[name] == (window and length, *item[name].shape[1:])
        assert (
            re.search(rf"^{name} +\({', '.join(map(str, item[name].shape))}\)", str(dataset), re.M)
            or not window
        )


def test_docs_and_docstring_have_the_table():
    assert stream_table() in PAGE.read_text()
    for name, about in STREAMS.items():
        row = rf"^    {name} +{re.escape(about.shape)} +{about.dtype} "
        assert re.search(row, Dataset.__doc__, re.MULTILINE), name


def test_streams_come_as_they_are_named(shards):
    assert list(Dataset(shards, window=30, streams=["spoken", "face"])[0])[:2] == ["spoken", "face"]
    item = Dataset(shards, window=30, streams=["text"])[0]
    assert "text" in item and "spoken" not in item
    spoken = Dataset(shards, window=30, streams=["spoken"])[0]["spoken"]
    assert spoken.any() and torch.equal(spoken, item["text"].abs().sum(-1) > 0)


@pytest.mark.parametrize("window", [30, 31, 32])
def test_audio_does_not_drift_over_a_take(shards, window):
    """Samples of a window of any length lie at their place of the take's waveform, to its last window."""
    dataset = Dataset(shards, window=window, stride=1, streams=["audio"], split=None)
    wholes = {item["take"]: item for item in Dataset(shards, streams=["audio"], split=None)}
    starts = set()
    for item in dataset:
        wave, first = wholes[item["take"]]["audio"], item["start_sample"]
        starts.add((item["take"], item["start_frame"]))
        assert first == (item["start_frame"] * 16_000 + 15) // 30
        assert item["num_samples"] == len(item["audio"]) == window * 16_000 // 30
        assert torch.equal(item["audio"], wave[first : first + len(item["audio"])])
    assert len(starts) == len(dataset)
    for shard in open_shards(shards):
        for span in shard.takes:
            assert np.array_equal(
                wholes[span.take]["audio"], shard["audio"][span.start_sample : span.stop_sample]
            )


def test_windows_of_three_frames_by_three_leave_out_no_sample(shards):
    pieces = list(Dataset(shards, window=3, streams=["audio"]))
    whole = Dataset(shards, streams=["audio"])[0]["audio"]
    joined = torch.cat([item["audio"] for item in pieces if item["take"] == pieces[0]["take"]])
    assert torch.equal(joined, whole[: len(joined)]) and len(whole) == len(joined) == 80_000


@pytest.mark.parametrize("arrays", ["torch", "numpy"])
def test_whole_takes_are_padded_and_masked(shards, arrays):
    dataset = Dataset(shards, arrays=arrays)
    items = [dataset[i] for i in range(3)]
    batch = dataset.collate(items)
    assert batch["num_frames"].tolist() == [150, 170, 130] == [len(item["body"]) for item in items]
    assert batch["mask"].shape == (3, 170) and batch["audio_mask"].shape == (3, 90_667)
    assert batch["mask"].sum(1).tolist() == [150, 170, 130]
    assert batch["audio_mask"].sum(1).tolist() == batch["num_samples"].tolist()
    for row, item in enumerate(items):
        for name in dataset.streams:
            length = len(item[name])
            assert np.array_equal(batch[name][row, :length], item[name])
            assert not batch[name][row, length:].any(), name
    assert batch["take"] == dataset.takes and isinstance(batch["body"], torch.Tensor) == (arrays == "torch")
    without = Dataset(shards, streams=["face"]).batch([0, 1])
    assert "mask" in without and "audio_mask" not in without


def test_whole_takes_hold_what_the_shards_do(shards):
    for item in (dataset := Dataset(shards, split="test")):
        shard = next(s for s in open_shards(shards) if any(span.take == item["take"] for span in s.takes))
        for name, values in expected(shard, shard.find(item["take"]), 0, item["num_frames"]).items():
            assert np.allclose(item[name], values, atol=1e-4 if name == "relative" else 0), name
    assert dataset.takes == ["20240101_004", "20240101_005"]


@pytest.mark.parametrize(
    ("window", "workers", "method"), [(24, 0, None), (24, 2, "fork"), (24, 1, "spawn"), (None, 2, "fork")]
)
def test_torch_makes_the_batches_of_collate(home, window, workers, method):
    dataset = Dataset(home / "data" / "shards", window=window, stride=window and 12)
    dataset[0]
    options = {"num_workers": workers, "multiprocessing_context": method}
    loader = DataLoader(dataset, batch_size=4, collate_fn=dataset.collate, **options)
    for number, batch in enumerate(loader):
        numbers = range(4 * number, min(4 * number + 4, len(dataset)))
        assert alike(batch, dataset.batch(numbers))
    assert numbers[-1] == len(dataset) - 1


def test_windows_suit_the_collate_of_torch_too(home):
    dataset = Dataset(home / "data" / "shards", window=24)
    batch = next(iter(DataLoader(dataset, batch_size=3)))
    own = dataset.batch([0, 1, 2])
    assert set(batch) == set(own) and batch["take"] == own["take"] and batch["emotion"] == ["joy"] * 3
    assert all(torch.equal(batch[name], own[name]) for name in own if isinstance(own[name], torch.Tensor))


def test_a_dataset_travels(shards, speech):
    dataset = Dataset(shards, window=24, speech=speech)
    assert alike(pickle.loads(pickle.dumps(dataset))[5], dataset[5])


def test_what_is_written_to_an_item_stays_in_it(shards):
    for window in (24, None):
        dataset = Dataset(shards, window=window)
        before = {name: np.array(dataset[0][name]) for name in dataset.streams}
        item = dataset[0]
        for name in dataset.streams:
            item[name].zero_()
        assert all(np.array_equal(dataset[0][name], values) for name, values in before.items())


def test_labels_come_from_the_index(home, copy):
    assert {(item["relationship"], item["emotion"]) for item in Dataset(home / "data" / "shards")} == {
        ("", "joy")
    }
    assert "emotion" not in Dataset(copy)[0]
    shard_index.run(shards=[copy / "shard-000.h5"], index=copy / "index.parquet")
    with pytest.raises(InputError, match="index.parquet: no take 20240101_003, which the shards have"):
        Dataset(copy)
    (copy / "index.parquet").unlink()
    assert len(Dataset(copy)) == 3


def test_moments_are_those_of_the_shards(shards, speech):
    stats = json.loads((shards / "stats.json").read_text())
    dataset = Dataset(shards, window=24, speech=speech)
    assert list(dataset.stats) == ["body", "relative", "relation", "face", "mel", "text", "speech"]
    for name, (mean, std) in dataset.stats.items():
        own = {"mean": [0.5] * 5, "std": [1.5] * 5} if name == "speech" else None
        kept = own or stats["relative_root" if name == "relative" else name]
        assert torch.equal(mean, torch.tensor(kept["mean"])) and torch.equal(std, torch.tensor(kept["std"]))
    assert isinstance(Dataset(shards, streams=["face"], arrays="numpy").stats["face"].std, np.ndarray)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda path: path.unlink(), "stats.json: no such file"),
        (
            lambda path: path.write_text('{"face": {"mean": [1], "std": [1]}}'),
            "face has 1 channels, the shards",
        ),
        (lambda path: path.write_text("{}"), "face has 0 channels, the shards have 51"),
    ],
)
def test_moments_that_do_not_fit_are_one_line(copy, change, line):
    change(copy / "stats.json")
    dataset = Dataset(copy, streams=["face"])
    assert len(dataset[0]["face"]) == 150
    with pytest.raises(InputError, match=line):
        _ = dataset.stats


def test_skeletons_and_names_are_those_of_the_shards(shards):
    dataset, shard = Dataset(shards, window=24), open_shards(shards)[0]
    a, b = dataset.skeletons("20240101_002")
    assert np.allclose(a.offsets_cm * 1.06 / 1.02, b.offsets_cm, atol=1e-5)
    assert dataset.joint_names == shard.joint_names and np.array_equal(dataset.parents, shard.parents)
    assert (dataset.fps, dataset.audio_rate, len(dataset.arkit_names)) == (30, 16_000, 51)
    with pytest.raises(InputError, match="no take 'x'; there are 20240101_001"):
        dataset.skeletons("x")


def test_actors_of_another_training_are_counted_as_there(shards):
    dataset = Dataset(shards, split="test", actors=["004", "002"])
    assert [item["actors"].tolist() for item in dataset] == [[-1, 1], [1, 0]]


def test_speech_is_that_of_its_folder(shards, speech, copy):
    shard = open_shards(shards)[0]
    shard.attach(speech / "shard-000.h5")
    dataset = Dataset(shards, window=24, speech=speech, streams=["speech"])
    assert np.array_equal(dataset[0]["speech"], np.asarray(shard["speech"][:24], np.float32))
    with pytest.raises(InputError, match="got none for speech sidecars; name one with speech=,"):
        Dataset(copy, streams=["speech"])
    write_speech(copy, copy / "speech-1")
    assert Dataset(copy, streams=["speech"])[0]["speech"].shape == (150, 2, 5)
    assert "speech" not in Dataset(copy)[0]
    (copy / "speech-1" / "shard-001.h5").unlink()
    with pytest.raises(InputError, match=r"speech-1/shard-001.h5: no such file"):
        Dataset(copy, streams=["speech"])


def test_sidecars_of_two_encoders_are_refused(copy):
    write_speech(copy, copy / "speech-1")
    write_speech(copy, copy / "speech-2", model="n")
    with pytest.raises(InputError, match="got speech-1, speech-2 for speech sidecars"):
        Dataset(copy, streams=["speech"])
    shutil.copy(copy / "speech-2" / "stats.json", copy / "speech-1")
    with pytest.raises(InputError, match="stats.json: of another encoder than its sidecars"):
        _ = Dataset(copy, speech=copy / "speech-1").stats
    shutil.copy(copy / "speech-2" / "shard-001.h5", copy / "speech-1")
    with pytest.raises(InputError, match="shard-001.h5: of another encoder than shard-000.h5"):
        Dataset(copy, speech=copy / "speech-1")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"streams": ["bodies"]}, "no stream 'bodies'; there are body, root, .*; did you mean 'body'"),
        ({"streams": ["text_index"]}, "no stream 'text_index'; there are body"),
        ({"streams": [3]}, "no stream 3; there are body"),
        ({"streams": "face"}, "got the text 'face', need a list of names"),
        ({"streams": []}, "need one name or more, each once"),
        ({"streams": ["face", "face"]}, "need one name or more, each once"),
        ({"split": "val"}, "split: got 'val', need train, test, or None for both"),
        (
            {"window": 171},
            "train takes: the longest of 3 has 170 frames, need 171 for a window; lower window",
        ),
        ({"window": 171, "split": None}, "all takes: the longest of 5 has 170 frames"),
        ({"window": 1}, "window 1, stride None: need at least 2 and 1 frames"),
        ({"window": 0, "streams": ["face"]}, "window 0, stride None: need at least 1 and 1 frames"),
        ({"window": 24, "stride": 0}, "window 24, stride 0"),
        ({"window": 24.0}, "window: got 24.0, need a whole number"),
        ({"window": 24, "stride": "4"}, "stride: got '4', need a whole number"),
        ({"stride": 4}, "stride: got 4 without a window; name a window"),
        ({"actors": "001"}, "actors: got '001', need a list of ids"),
        ({"arrays": "jax"}, "arrays: got 'jax', need torch or numpy"),
        ({"speech": "nowhere"}, "nowhere/shard-000.h5: no such file"),
    ],
)
def test_what_a_dataset_cannot_be_is_one_line(shards, options, line):
    with pytest.raises(InputError, match=line) as caught:
        Dataset(shards, **options)
    assert "\n" not in str(caught.value)


def test_folders_without_shards_or_takes_are_one_line(shards, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="no shard-\\*.h5; build shards first"):
            Dataset(folder)
    shutil.copy(shards / "shard-000.h5", tmp_path)
    with pytest.raises(InputError, match="test takes: the longest of 0 has 0 frames.*name another split"):
        Dataset(tmp_path, split="test")


@pytest.mark.parametrize("window", [24, None])
def test_numpy_gives_what_torch_does(home, window):
    tensors, plain = (Dataset(home / "data" / "shards", window=window, arrays=a) for a in ("torch", "numpy"))
    for name, values in plain.batch([0, 2]).items():
        assert np.array_equal(values, tensors.batch([0, 2])[name]), name
        assert isinstance(values, (np.ndarray, list)), name


def test_mapped_streams_are_the_file_and_read_only(shards, speech):
    dataset = Dataset(shards, arrays="numpy", speech=speech)
    shard, span = dataset.shards[1], dataset.shards[1].takes[0]
    found = dataset.mapped(span.take)
    assert set(found) == {"body", "root", "face", "mel", "action", "facing", "audio", "speech"}
    whole = dataset[dataset.takes.index(span.take)]
    for name, values in found.items():
        assert np.shares_memory(values, shard[name]) and np.array_equal(values, whole[name]), name
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


def arrays_of(column: pa.Array, field: pa.Field) -> np.ndarray:
    """Values of a column of lists of a fixed size, in the shape that its field names."""
    shape = json.loads(field.metadata[b"shape"])
    values = column.flatten()
    return values.to_numpy(zero_copy_only=values.type != pa.bool_()).reshape(-1, *shape)


def test_arrow_has_a_row_an_item(home, speech):
    dataset = Dataset(home / "data" / "shards", window=24, stride=10, speech=speech)
    size, seen = sum(dataset[0][name].nbytes for name in dataset.streams), 0
    for block in dataset.arrow(block_bytes=3 * size):
        block.validate(full=True)
        assert 1 < block.num_rows <= 3 or seen + block.num_rows == len(dataset)
        need = dataset.batch(range(seen, seen + block.num_rows))
        for field in block.schema:
            column, values = block[field.name], need[field.name]
            if field.name in STREAMS:
                assert np.array_equal(arrays_of(column, field), values), field.name
            elif field.name == "performances":
                assert column.to_pylist() == [list(pair) for pair in values]
            else:
                assert column.to_pylist() == (values if isinstance(values, list) else values.tolist())
        seen += block.num_rows
    assert seen == len(dataset) and set(need) == set(block.schema.names)
    assert block.schema.field("root").metadata[b"unit"] == b"cm, cm, cm, rad"


def test_arrow_has_a_list_for_each_whole_take(shards, speech):
    dataset = Dataset(shards, split=None, speech=speech)
    blocks_read = list(dataset.arrow())
    assert [block["take"].to_pylist() for block in blocks_read] == [[take] for take in dataset.takes]
    for block, item in zip(blocks_read, dataset, strict=True):
        block.validate(full=True)
        for name in dataset.streams:
            (row,) = block[name]
            assert np.array_equal(np.array(row.as_py()).reshape(item[name].shape), item[name]), name


@pytest.mark.parametrize("block_bytes", [1, 50_000, 1 << 25])
def test_arrow_has_a_row_a_frame(shards, speech, block_bytes):
    """Rows of frames are the whole takes, in order, each sample once, whatever the blocks."""
    dataset = Dataset(shards, speech=speech)
    table = pa.Table.from_batches(dataset.arrow("frames", block_bytes=block_bytes)).combine_chunks()
    table.validate(full=True)
    items = list(dataset)
    assert table["take"].to_pylist() == [item["take"] for item in items for _ in range(item["num_frames"])]
    assert table["start_frame"].to_pylist() == [i for item in items for i in range(item["num_frames"])]
    assert table["start_sample"].to_pylist() == [
        int(sample_of(i)) for item in items for i in range(item["num_frames"])
    ]
    for name in dataset.streams:
        joined, column = np.concatenate([item[name] for item in items]), table[name].chunk(0)
        if name == "audio":
            assert set(column.value_lengths().to_pylist()) == {533, 534}
            assert column.value_lengths().to_pylist() == table["num_samples"].to_pylist()
            assert np.array_equal(column.flatten().flatten().to_numpy().reshape(-1, 2), joined)
        else:
            assert np.array_equal(arrays_of(column, table.schema.field(name)), joined), name


def test_arrow_reads_blocks_as_they_are_asked_for(shards, monkeypatch):
    """A block of frames holds what was asked for at most, and is the mapped file itself."""
    dataset = Dataset(shards, streams=["body", "face", "audio"])
    blocks_read = dataset.arrow("frames", block_bytes=100_000)
    first = next(iter(blocks_read))
    assert 10 < first.num_rows < 100_000 // (2 * (33 + 51) * 4)
    for name in ("body", "face"):
        assert np.shares_memory(first[name].flatten().to_numpy(), dataset.shards[0][name])
    assert np.shares_memory(first["audio"].flatten().flatten().to_numpy(), dataset.shards[0]["audio"])
    monkeypatch.setattr(type(dataset.shards[0]), "__getitem__", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(iter(blocks_read))


def test_a_window_is_in_a_block_once(shards):
    """Blocks that are kept are not written over by those that are read later."""
    dataset = Dataset(shards, window=24, stride=5, arrays="numpy")
    kept = list(dataset.arrow(block_bytes=1))
    assert len(kept) == len(dataset)
    for number, block in enumerate(kept):
        assert np.array_equal(
            arrays_of(block["face"], block.schema.field("face"))[0], dataset[number]["face"]
        )


def test_rows_of_another_kind_are_one_line(shards):
    with pytest.raises(InputError, match="rows: got 'takes', need items or frames"):
        Dataset(shards).arrow("takes")


def test_compressed_shards_give_the_same(shards, tmp_path):
    for path in sorted(shards.glob("shard-*.h5")):
        with h5py.File(path) as source, h5py.File(tmp_path / path.name, "w") as target:
            for key, value in source.attrs.items():
                target.attrs[key] = value
            for name in source:
                if name in STORED_STREAMS or name == "audio":
                    target.create_dataset(name, data=source[name][()], compression="gzip", chunks=True)
                else:
                    source.copy(name, target)
    plain, packed = Dataset(shards, window=24), Dataset(tmp_path, window=24)
    assert alike(plain[7], packed[7])
    assert alike(plain.mapped(plain.takes[1]), packed.mapped(plain.takes[1]))
    one, other = (pa.Table.from_batches(dataset.arrow("frames")) for dataset in (plain, packed))
    assert one.equals(other)


WITHOUT_TORCH = """
import sys
from models.dataset import Dataset
dataset = Dataset(sys.argv[1], window=24, arrays="numpy")
dataset.batch([0, 5]), dataset.stats, dataset.mapped(dataset.takes[0]), dataset.skeletons(dataset.takes[0])
for rows in ("items", "frames"):
    for block in dataset.arrow(rows):
        pass
assert "torch" not in sys.modules, "torch is loaded"
assert "pyarrow" in sys.modules
"""


def test_arrays_and_arrow_need_no_torch(home):
    command = [sys.executable, "-c", WITHOUT_TORCH, str(home / "data" / "shards")]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr


def test_the_five_lines_of_the_readme_run(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    (script,) = [
        text for language, text in blocks(README) if language == "python" and "models.dataset" in text
    ]
    assert len([line for line in script.splitlines() if line]) == 5
    exec(compile(script, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == -(-sum((n - 60) // 10 + 1 for n in (150, 170, 130)) // 4)
    shapes = [f"torch.Size([4, {shape}])" for shape in ("60, 2, 33", "60, 2, 51", "32000, 2")]
    assert lines[0].endswith("] " + " ".join(shapes)) and lines[0].count("'20240101_00") == 4


def test_the_snippets_of_the_page_run(home, monkeypatch):
    """docs/shards.md shows how a plain script reads shards: as it stands there."""
    monkeypatch.chdir(home)
    snippets = [text for language, text in blocks(PAGE) if language == "python"]
    assert len(snippets) == 6
    checked = 0
    for snippet in snippets:
        names: dict = {}
        exec(compile(snippet, "docs/shards.md", "exec"), names)
        assert "emotion" not in names or names["emotion"] == dict.fromkeys(TAKES, "joy")
        for line in re.findall(r'^    batch\["\w+"\]  # \(.*$', snippet, re.MULTILINE):
            name, shape = re.match(r'    batch\["(\w+)"\]  # \(([^)]*)\)', line).groups()
            got, need = list(names["batch"][name].shape[1:]), shape.split(", ")[1:]
            assert [str(number) for number in got] == ["33" if part == "3 J" else part for part in need], line
            checked += 1
        if "takes" in names:
            assert names["face"].shape == (3, 170, 2, 51) and names["real"].shape == (3, 170)
            assert [number.shape for number in names["lengths"]] == [(3,), (3,)]
        if "jaw" in names:
            assert names["jaw"].shape == (150,)
    assert checked == 5 and names["body"].shape[1:] == (60, 2, 33)
    assert pq.read_table("windows.parquet").num_rows == len(names["dataset"])
