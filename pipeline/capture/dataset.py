"""Dataset: what makes the folder of streams a dataset in the public release's layout.

In: the shoot's takes.tsv, actors.tsv, lip_acc/lip_acc.tsv and rigs, the sync JSON and BVH of every take. Out,
beside the streams: takes.tsv, scenarios.db, actors.db, rigs/ and dataset.json; face_ict/ and
face_ict_templates/ of actors whose rig has the topology of the ICT kit.
"""

import logging
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline import ownership, stage
from pipeline.errors import InputError
from pipeline.files import sha256, whole, write_json, write_tsv
from pipeline.formats import arkit, bvh, ict, obj
from pipeline.formats.array_files import read_npy
from pipeline.formats.dataset_file import FORMAT_VERSION
from pipeline.formats.rig_file import load_rig
from pipeline.formats.shoot_check import check_scenarios, read_licence, scenario_number
from pipeline.formats.sync_file import recorded_marks
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import Take, actor_of, read_actors, shoot_lip_acc, shoot_takes
from pipeline.reading import read_json

log = logging.getLogger("interact")
RULES = {"body": "body", "face": "blendshapes", "audio": "separation"}
"""Stage that makes a stream of the dataset, by the kind of raw stream."""


def _database(path: Path, schema: str, tables: dict[str, list[tuple]]) -> None:
    """Write a SQLite file of the given tables, whole or not at all."""
    with whole(path) as temporary:
        connection = sqlite3.connect(temporary)
        with connection:
            connection.executescript(schema)
            for table, rows in tables.items():
                if rows:
                    connection.executemany(
                        f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows
                    )
        connection.close()


def write_scenarios(path: Path, takes: list[Take]) -> None:
    """scenarios.db: the tables scenarios, relationships and emotions.

    scenarios(id, relationship_id, primary_emotion_id, character_setup, scenario).

    Ids count names in alphabetical order; a scenario's id is its number, or its name where it is none.
    """
    check_scenarios(takes)
    names = {key: sorted({take.row[key] for take in takes} - {""}) for key in ("relationship", "emotion")}
    ids = {key: {name: i for i, name in enumerate(found, 1)} for key, found in names.items()}
    scenarios: dict[int | str, tuple] = {}
    for take in takes:
        number, row = scenario_number(take.scenario), take.row
        labels = (
            ids["relationship"].get(row["relationship"]),
            ids["emotion"].get(row["emotion"]),
            row["character_setup"],
            row["scenario_design"],
        )
        scenarios.setdefault(number, (number, *labels))
    columns = (
        "id PRIMARY KEY, relationship_id INTEGER, primary_emotion_id INTEGER,"
        " character_setup TEXT, scenario TEXT"
    )
    schema = f"""CREATE TABLE scenarios({columns});
        CREATE TABLE relationships(id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE emotions(id INTEGER PRIMARY KEY, name TEXT);"""
    tables = {
        "scenarios": [
            scenarios[key] for key in sorted(scenarios, key=lambda key: (isinstance(key, str), key))
        ],
        "relationships": [(i, name) for name, i in ids["relationship"].items()],
        "emotions": [(i, name) for name, i in ids["emotion"].items()],
    }
    _database(path, schema, tables)


def write_actors(path: Path, takes: list[Take], genders: dict[str, str], readers: Iterable[str] = ()) -> None:
    """actors.db: actors(actor_id, gender) and sessions(date, male_id, female_id).

    Of the takes and of `readers` of the lip-accurate set.

    The release's sessions table knows pairs of one man and one woman. Any other pair is written in id order,
    the first actor under male_id: the actors table says who is what.
    """
    used = sorted({actor for take in takes for actor in take.actors} | set(readers))
    sessions = set()
    for take in takes:
        first, second = take.actors
        if genders.get(first) == "female" and genders.get(second) == "male":
            first, second = second, first
        sessions.add((take.date, first, second))
    schema = """CREATE TABLE actors(actor_id TEXT PRIMARY KEY, gender TEXT);
        CREATE TABLE sessions(date TEXT, male_id TEXT, female_id TEXT);"""
    _database(
        path, schema, {"actors": [(actor, genders[actor]) for actor in used], "sessions": sorted(sessions)}
    )


def common_joints(paths: list[Path]) -> list[str]:
    """Joint names that all BVH files share; InputError names the first file that differs."""
    first = bvh.read_names(paths[0])
    for path in paths[1:]:
        names = bvh.read_names(path)
        if names != first:
            odd = sorted(set(names) ^ set(first)) or ["their order"]
            raise InputError(
                f"{path}: joints differ from {paths[0].name}: {', '.join(odd[:8])}; set body.joints to the"
                " joints that all bodies have"
            )
    return first


def write_face_ict(folder: Path, performances: Iterable[str]) -> None:
    """face_ict/<performance>.npy (N, 55) beside face_arkit, where the rig has the ICT kit's topology."""
    for name in performances:
        with whole(folder / "face_ict" / f"{name}.npy") as temporary:
            np.save(temporary, ict.to_ict(read_npy(folder / "face_arkit" / f"{name}.npy")))


def check_made_of(reports: Path, name: str, record: dict) -> None:
    """InputError where a stream of a performance was made of another file than the sync JSON speaks of.

    The report of its stage says of which.
    """
    for folder, kind in (("body", "body"), ("fit", "face"), ("separation", "audio")):
        path = reports / folder / f"{name}.json"
        made_of = read_json(path, kind=dict).get("made_of") if path.exists() else None
        if made_of and made_of != recorded_marks(record[kind]):
            raise InputError(
                f"{path}: was made of another {kind} than sync has read since; run {RULES[kind]} of {name}"
                " again"
            )


def run(*, shoot: Path, sync: Path, out: Path) -> None:
    """Write the tables, rigs and dataset.json of a dataset whose streams are in place.

    The reports of the capture stages lie beside `sync`.
    """
    ownership.need_own(out, ("dataset.json", "takes.tsv"))
    takes, genders = shoot_takes(shoot), read_actors(shoot / "actors.tsv")
    synced = {take.name: read_json(sync / f"{take.name}.json") for take in takes}
    actors = sorted({actor for take in takes for actor in take.actors})
    ownership.remove_recorded(
        out, sync.parent, [name for take in takes for name in take.performances], table="takes.tsv"
    )
    joints = common_joints([out / "bvhs" / f"{name}.bvh" for take in takes for name in take.performances])
    write_scenarios(out / "scenarios.db", takes)
    write_actors(out / "actors.db", takes, genders, {row.actor for row in shoot_lip_acc(shoot).values()})
    write_tsv(out / "takes.tsv", TAKE_COLUMNS, [take.row for take in takes])
    for actor in actors:
        source = shoot / "rigs" / f"{actor}.npz"
        if source.exists():
            load_rig(source)  # what a link may lead to is copied only where it is a rig
            with whole(out / "rigs" / source.name) as temporary:
                shutil.copyfile(source, temporary)
    with_ict = [actor for actor in actors if ict.is_ict_rig(shoot / "rigs" / f"{actor}.npz")]
    write_face_ict(out, [name for take in takes for name in take.performances if actor_of(name) in with_ict])
    for actor in with_ict:
        rig = load_rig(out / "rigs" / f"{actor}.npz")
        obj.write_obj(out / "face_ict_templates" / f"{actor}.obj", rig.neutral, rig.faces)
    hashes: dict[str, str] = {}
    for take in takes:
        for performance, record in zip(take.performances, synced[take.name]["performances"]):
            check_made_of(sync.parent, performance, record)
            hashes |= {
                f"{performance}.bvh": record["body"]["sha256"],
                f"{performance}.wav": record["audio"]["sha256"],
            }
    value = {
        "format_version": FORMAT_VERSION,
        "fps": 30,
        "joint_names": joints,
        "arkit_names": list(arkit.NAMES),
        "ict_names": list(ict.NAMES) if with_ict else None,
        "units": {"length": "cm", "bvh_rotation": "degrees", "audio_rate": 48000},
        "licence": read_licence(shoot),
        "rig_sha256": {
            actor: sha256(out / "rigs" / f"{actor}.npz")
            for actor in actors
            if (out / "rigs" / f"{actor}.npz").exists()
        },
        "source_sha256": hashes,
        "takes": {
            take.name: {
                "start_seconds": synced[take.name]["start_seconds"],
                "frames": synced[take.name]["frames"],
            }
            for take in takes
        },
    }
    write_json(out / "dataset.json", value)
    ownership.write_mark(out)
    log.info("dataset of %d takes, %d actors, %d joints in %s", len(takes), len(actors), len(joints), out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--shoot", type=Path, required=True, help="folder of the shoot")
    parser.add_argument("--sync", type=Path, required=True, help="folder of the takes' sync JSONs")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the dataset, with its streams in place"
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
