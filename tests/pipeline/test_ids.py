import h5py
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats import arkit
from pipeline.formats.shard_file import FORMAT_VERSION, STREAMS, TAKE_FIELDS, Shard
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import read_actors, read_takes
from pipeline.ids import check_id, check_ids, is_id
from pipeline.motion.clock import sample_of
from pipeline.shards.plan import read_plan

NO_IDS = [
    "", "-rf", "../x", "x/../../ESCAPED", "/etc", "a b", "a_b", "a\nb", "001\n", "$(id)", "{1}", "é",
    "x" * 65, "..", "a.b", "\u0661", 1, None, ["001"],
]  # fmt: skip
"""What must be no id wherever ids come from: paths, options, templates, names too long, what is no text."""
IDS = ["001", "0", "A", "a-1", "a-", "Z" * 64]


@pytest.mark.parametrize("value", NO_IDS, ids=repr)
def test_what_is_no_id_is_refused(value):
    assert not is_id(value)
    with pytest.raises(InputError, match="model.json: actor is .*need an id"):
        check_id(value, "actor", "model.json")


@pytest.mark.parametrize("value", IDS)
def test_ids_and_the_names_made_of_them(value):
    assert check_id(value, "scenario", "x") == value
    assert is_id(f"20240229_{value}", "take") and is_id(f"20240229_{value}_{value}", "performance")
    assert not is_id(f"20230229_{value}", "take") and not is_id(f"20231301_{value}", "take")


def test_a_list_of_ids_is_a_list_and_has_each_once():
    with pytest.raises(InputError, match="need a list of take ids"):
        check_ids("20240229_001", "take", "plan.json")
    with pytest.raises(InputError, match="take 20240229_001 stands twice"):
        check_ids(["20240229_001"] * 2, "take", "plan.json")


def takes_tsv(folder, value):
    row = {
        "take": f"20240229_{value}",
        "date": "20240229",
        "scenario": value,
        "actor_a": "001",
        "actor_b": "002",
    }
    path = folder / "takes.tsv"
    path.write_text(
        "\t".join(TAKE_COLUMNS) + "\n" + "\t".join(row.get(column, "") for column in TAKE_COLUMNS) + "\n",
        encoding="utf-8",
    )
    read_takes(path)


def actors_tsv(folder, value):
    path = folder / "actors.tsv"
    path.write_text(f"actor\tgender\n{value}\tfemale\n", encoding="utf-8")
    read_actors(path)


def plan_json(folder, value):
    write_json(folder / "plan.json", [[f"20240229_{value}"]])
    read_plan(folder / "plan.json")


def shard_table(folder, value, column):
    """A whole shard of one joint and one frame, one of whose ids is the value."""
    row = dict.fromkeys(TAKE_FIELDS, "train") | {"take": "20240229_001", "actor_a": "001", "actor_b": "b"}
    row |= {"start_frame": 0, "stop_frame": 1, "start_sample": 0, "stop_sample": int(sample_of(1))}
    row[column] = f"20240229_{value}" if column == "take" else value
    cells = [cell.encode() if isinstance(cell, str) else cell for cell in row.values()]
    types = [
        (name, f"S{max(1, len(cell))}" if isinstance(cell, bytes) else "<i8")
        for name, cell in zip(row, cells)
    ]
    shapes = {
        "body": (1, 2, 3),
        "root": (1, 2, 4),
        "face": (1, 2, 51),
        "mel": (1, 2, 8),
        "text": (1, 8),
        "audio": (row["stop_sample"], 2),
    }
    with h5py.File(folder / "shard-000.h5", "w") as f:
        f.attrs.update(
            {"format_version": FORMAT_VERSION, "fps": 30, "parents": np.array([-1]), "source_sha256": "x"}
        )
        f.attrs["joint_names"], f.attrs["arkit_names"] = ["x"], list(arkit.NAMES)
        for name in [*STREAMS, "text", "audio"]:
            f[name] = np.zeros(shapes.get(name, (1, 2)), STREAMS.get(name, "f4"))
        f["takes"] = np.array([tuple(cells)], types)
    Shard(folder / "shard-000.h5")


LOADERS = {
    "takes.tsv": takes_tsv,
    "actors.tsv": actors_tsv,
    "plan.json": plan_json,
    "take of a shard": lambda folder, value: shard_table(folder, value, "take"),
    "actor of a shard": lambda folder, value: shard_table(folder, value, "actor_a"),
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize(
    "value",
    [value for value in NO_IDS if isinstance(value, str) and value.strip() == value != "a\nb"],
    ids=repr,
)
def test_every_loader_refuses_what_is_no_id(tmp_path, name, value):
    with pytest.raises(InputError):
        LOADERS[name](tmp_path, value)


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_takes_what_is_one(tmp_path, name):
    LOADERS[name](tmp_path, "a-1")
