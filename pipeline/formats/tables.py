"""Tables of a shoot: the rows of takes.tsv, actors.tsv and lip_acc/lip_acc.tsv.

In: a table. Out: its rows, checked, as `TakeRow`, `ActorRow` or `LipRow`: the one typed source of their
columns, of what errors say, and of the JSON schemas that

    python -m pipeline.formats.tables --schemas workflow/schemas

writes. Light: this module is imported while the Snakefile is read.
"""

import datetime
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.errors import InputError
from pipeline.files import read_tsv
from pipeline.ids import DATE, ID, IN_WORDS

_EXCLUDE = "yes, no or empty: yes leaves the {} out"


class Row(BaseModel):
    """A row of a table: every column is there, every cell is text.

    Of a description, errors quote what stands before the colon.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    @field_validator("date", check_fields=False)
    @classmethod
    def _in_the_calendar(cls, date: str) -> str:
        datetime.datetime.strptime(date, "%Y%m%d")
        return date


class TakeRow(Row):
    """One row of takes.tsv: a take, its two actors and its scene."""

    take: str = Field(
        pattern=f"^[0-9]{{8}}_{ID}$", description="`<date>_<scenario>` of its row, once in the table"
    )
    date: str = Field(
        pattern=f"^{DATE}$", description="a day of the calendar as YYYYMMDD: when the take was recorded"
    )
    scenario: str = Field(pattern=f"^{ID}$", description=f"{IN_WORDS}: the scene's id")
    actor_a: str = Field(pattern=f"^{ID}$", description="an id of actors.tsv: one actor")
    actor_b: str = Field(
        pattern=f"^{ID}$",
        description=(
            "an id of actors.tsv: the other actor; the order is free, everywhere else actors stand in id"
            " order"
        ),
    )
    relationship: str = Field(
        description="text or empty: what the two are to each other, as in the paper's table 7 or your own"
    )
    emotion: str = Field(
        description="text or empty: the scene's main emotion, as in the paper's table 6 or your own"
    )
    character_setup: str = Field(
        description="text or empty: who the characters are, one text per scenario id"
    )
    scenario_design: str = Field(description="text or empty: what happens, one text per scenario id")
    split: Literal["", "train", "test"] = Field(
        description="train, test or empty: empty lets a fixed rule decide"
    )
    exclude: Literal["", "no", "yes"] = Field(description=_EXCLUDE.format("take"))
    reason: str = Field(description="text or empty: why it is left out")

    @field_validator("actor_b")
    @classmethod
    def _another_actor(cls, actor: str, info: ValidationInfo) -> str:
        if actor == info.data.get("actor_a"):
            raise ValueError("is actor_a")
        return actor

    @model_validator(mode="after")
    def _named_by_its_parts(self) -> "TakeRow":
        if self.take != f"{self.date}_{self.scenario}":
            raise ValueError("not <date>_<scenario>")
        return self


class ActorRow(Row):
    """One row of actors.tsv: an actor of the shoot."""

    actor: str = Field(pattern=f"^{ID}$", description=f"{IN_WORDS}: the actor's id, once in the table")
    gender: str = Field(
        pattern=r"^(\S(.*\S)?)?$",
        description=(
            "text without spaces at its ends, or empty: male or female as in the release, your own word, or"
            " empty where it is not stated"
        ),
    )


class LipRow(Row):
    """One row of lip_acc.tsv: an actor alone reads a sentence."""

    date: str = Field(
        pattern=f"^{DATE}$", description="a day of the calendar as YYYYMMDD: when it was recorded"
    )
    actor: str = Field(pattern=f"^{ID}$", description="an id of actors.tsv: who reads")
    # bounded, since lip_acc_sentences.txt has a line for every number up to the largest
    scenario: str = Field(
        pattern="^[1-9][0-9]{0,4}$",
        description=(
            "a whole number from 1 to 99999 without leading zeros: the sentence's line in"
            " lip_acc_sentences.txt"
        ),
    )
    sentence: str = Field(
        description="text on one line, without spaces at its ends: what is read, one text per scenario"
    )
    exclude: Literal["", "no", "yes"] = Field(description=_EXCLUDE.format("performance"))
    reason: str = Field(description="text or empty: why it is left out")

    @field_validator("sentence")
    @classmethod
    def _on_one_line(cls, sentence: str) -> str:
        if sentence.splitlines() != [sentence.strip()]:
            raise ValueError("not one line")
        return sentence

    @property
    def performance(self) -> str:
        """Name of the performance, `<date>_<actor>_<scenario>`."""
        return f"{self.date}_{self.actor}_{self.scenario}"


TAKE_COLUMNS, ACTOR_COLUMNS, LIP_COLUMNS = (list(kind.model_fields) for kind in (TakeRow, ActorRow, LipRow))
TABLES: dict[str, type[Row]] = {"takes": TakeRow, "actors": ActorRow, "lip_acc": LipRow}
AnyRow = TypeVar("AnyRow", bound=Row)


def _check_columns(path: Path, columns: list[str], needed: list[str]) -> None:
    unknown = [column for column in columns if column not in needed]
    missing = [column for column in needed if column not in columns]
    if unknown:
        near = difflib.get_close_matches(unknown[0], missing or needed, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known columns: {', '.join(needed)}"
        raise InputError(f"{path}: unknown column {unknown[0]!r}{hint}")
    if missing:
        raise InputError(f"{path}: missing column {', '.join(missing)}; need {', '.join(needed)}")


def _problem(kind: type[Row], row: dict[str, str], column: str) -> str:
    """What a row has in a column and what it needs there."""
    if column == "take":
        need = (
            f"<date>_<scenario> of its row ({row['date']}_{row['scenario']}), date as YYYYMMDD, scenario of"
            f" {IN_WORDS}"
        )
        return f"take {row['take']!r}, need {need}"
    if column in ("actor_a", "actor_b"):
        return (
            f"actors {row['actor_a']!r} and {row['actor_b']!r}, need two different ids of {IN_WORDS}, in"
            " actor_a and actor_b"
        )
    return (
        f"{column} is {row[column]!r}, need {(kind.model_fields[column].description or '').partition(':')[0]}"
    )


def read_rows(path: Path, kind: type[AnyRow]) -> Iterator[tuple[str, AnyRow]]:
    """Every row of a table, checked, and before it its place for errors.

    InputError names the first bad column of a row.
    """
    columns, rows = read_tsv(path)
    _check_columns(path, columns, list(kind.model_fields))
    for number, row in enumerate(rows, 2):
        where = f"{path}, row {number}"
        try:
            yield where, kind(**row)
        except ValidationError as error:
            place = error.errors()[0]["loc"]
            column = (
                str(place[0]) if place else "take"
            )  # what concerns the whole row is that take is not <date>_<scenario>
            raise InputError(f"{where}: {_problem(kind, row, column)}; correct the row") from None


def schema(kind: type[Row]) -> str:
    """The JSON schema of a row, as the text of its file."""
    return json.dumps(kind.model_json_schema(), indent=1, sort_keys=True) + "\n"


def column_table(kind: type[Row]) -> str:
    """The columns of a table with what they hold, in Markdown."""
    lines = [f"| `{name}` | {field.description} |" for name, field in kind.model_fields.items()]
    return "\n".join(["| column | what |", "| --- | --- |", *lines, ""])


def main(argv: list[str] | None = None) -> None:
    """Write what is generated from the typed rows."""
    import argparse

    from pipeline.files import whole

    parser = argparse.ArgumentParser(
        description="Write what is generated from the typed rows of the shoot's tables."
    )
    parser.add_argument("--schemas", type=Path, help="folder to write <table>.schema.json into")
    parser.add_argument(
        "--columns",
        choices=TABLES,
        help="table whose columns are printed in Markdown, as docs/shoot.md and docs/lip_acc.md have them",
    )
    arguments = parser.parse_args(argv)
    if arguments.schemas:
        for name, kind in TABLES.items():
            with whole(arguments.schemas / f"{name}.schema.json") as temporary:
                temporary.write_text(schema(kind), encoding="utf-8")
    if arguments.columns:
        print(column_table(TABLES[arguments.columns]), end="")


if __name__ == "__main__":
    main()
