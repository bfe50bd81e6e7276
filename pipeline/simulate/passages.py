"""What the reader of the simulated shoot's lip-accurate set reads, and when.

In: how many passages and a seed. Out: rows of lip_acc.tsv. A longer set begins with the passages of a shorter
one. Only the standard library is used, so that a workflow can import this module while it is parsed.
"""

import datetime
import random
from pathlib import Path

READER, READING_DAY, SENTENCES_OF_A_PASSAGE = "001", datetime.date(2024, 1, 5), 4
"""Who reads, and when; this actor plays in the first take of every shoot."""
LIP_COLUMNS = ["date", "actor", "scenario", "sentence", "exclude", "reason"]


def plan_lips(num_passages: int, seed: int) -> list[dict[str, str]]:
    """Rows of lip_acc.tsv, a passage of four sentences each, in an order that the seed draws."""
    sentences = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    draw = random.Random(f"simulated lips {seed}")
    rows: list[dict[str, str]] = []
    while len(rows) < num_passages:
        order = draw.sample(sentences, len(sentences))
        for i in range(0, len(order), SENTENCES_OF_A_PASSAGE):
            text = " ".join(order[i : i + SENTENCES_OF_A_PASSAGE])
            row = {"date": f"{READING_DAY:%Y%m%d}", "actor": READER, "scenario": f"{len(rows) + 1}"}
            rows.append(row | {"sentence": text, "exclude": "", "reason": ""})
    return rows[:num_passages]


def sentences_of(passage: str) -> list[str]:
    """The sentences of a passage."""
    return [f"{text.strip()}." for text in passage.split(".") if text.strip()]


def seconds_of_reading(row: dict[str, str]) -> float:
    """When a passage is read, seconds since midnight."""
    return 36_000.0 + 60.0 * (int(row["scenario"]) - 1)
