"""Shards that are there: what is in one, whether a folder of them is whole, a piece of one as plain files.

    python -m pipeline.shards inspect shard-000.h5 [--take T] [--plot a.png]  what is in one
    python -m pipeline.shards validate DIR [--dataset D ...]                  exit 1 and a line per fault
    python -m pipeline.shards export shard-000.h5 --take T --frames 0:150 --out DIR

What stands in a shard: pipeline/formats/shard_file.py and docs/shards.md. The stages that write them are the
modules plan, build, index and stats beside this one.
"""

from pipeline import stage
from pipeline.shards import export, inspect, validate

COMMANDS: dict[str, stage.Command] = {
    "inspect": (inspect.run, inspect.add_flags),
    "validate": (validate.run, validate.add_flags),
    "export": (export.run, export.add_flags),
}


def main(argv: list[str] | None = None) -> None:
    """Command line: the first word is the command."""
    stage.execute_one_of(COMMANDS, argv, doc=__doc__, called="pipeline.shards")


if __name__ == "__main__":
    main()
