"""Which takes the simulated shoot has, and who plays in them.

In: number of takes and a seed. Out: rows of takes.tsv and actors.tsv. Only the standard library is used, so
that a workflow can import this module while it is parsed. Row i does not depend on the number of takes: a
longer shoot begins with the takes of a shorter one.
"""

import datetime
import random

GENDERS = {"001": "male", "002": "female", "003": "male", "005": "female"}
PAIRS = [("001", "002"), ("003", "005"), ("001", "005"), ("002", "003")]
FIRST_DAY = datetime.date(2024, 1, 8)
TAKES_PER_SESSION = 24
"""A session is one day with one pair, as in the public release's table of sessions."""

RELATIONSHIPS = [
    "Siblings", "Parent / Child", "Grandparent / Child", "Cousins", "In-Laws", "Romantic Partner",
    "Friends With Similar Hobbies", "Childhood Friends", "Commuting Buddies", "Sports Teammates",
    "Interest Group Members", "Churchmates", "Co-workers", "Business Partners", "Boss / Subordinate",
    "Mentor / Mentee", "Classmates", "Senior Student / Junior Student", "Bully / Classmate",
    "Teacher / Student", "Principal / Student", "Doctor / Patient", "Waiter (Waitress) / Diner",
]  # fmt: skip
"""Relationships of InterAct (Ho et al. 2025, table 7)."""

EMOTIONS = [
    "Surprise", "Awe", "Confusion", "Excitement", "Anxiety", "Fear", "Horror", "Disgust", "Admiration",
    "Adoration", "Romance", "Interest", "Awkwardness", "Boredom", "Satisfaction", "Relief", "Craving",
    "Nostalgia", "Entrancement", "Calmness", "Aesthetic appreciation", "Joy", "Amusement", "Pain", "Anger",
    "Sadness",
]  # fmt: skip
"""Emotions of InterAct (Ho et al. 2025, table 6)."""

_SETUPS = [
    "both live in the same town", "one is always early, the other late", "they have not met for a year",
    "one is moving away soon", "they share a small flat", "one has kept a secret",
]  # fmt: skip
_DESIGNS = [
    "they wait for a train and talk about the day", "they plan a dinner that has gone wrong before",
    "one brings news and the other answers", "they look for something that was lost",
    "they decide how to spend the evening", "they talk over an old letter",
]  # fmt: skip


def plan_takes(num_takes: int, seed: int) -> list[dict[str, str]]:
    """Rows of takes.tsv, one per take, all values text.

    Two actors of different gender each, relationships and emotions in an order that the seed shuffles, the
    split left to the pipeline.
    """
    draw = random.Random(f"simulated shoot {seed}")
    relationships, emotions = RELATIONSHIPS[:], EMOTIONS[:]
    draw.shuffle(relationships)
    draw.shuffle(emotions)
    rows = []
    for i in range(num_takes):
        session = (i // (len(PAIRS) * TAKES_PER_SESSION)) * len(PAIRS) + i % len(PAIRS)
        date = (FIRST_DAY + datetime.timedelta(days=session)).strftime("%Y%m%d")
        scenario = f"{i + 1:03d}"
        pair = PAIRS[i % len(PAIRS)]
        row = {
            "take": f"{date}_{scenario}",
            "date": date,
            "scenario": scenario,
            "actor_a": pair[0],
            "actor_b": pair[1],
        }
        row |= {"relationship": relationships[i % len(relationships)], "emotion": emotions[i % len(emotions)]}
        row |= {
            "character_setup": _SETUPS[draw.randrange(len(_SETUPS))],
            "scenario_design": _DESIGNS[draw.randrange(len(_DESIGNS))],
        }
        rows.append(row | {"split": "", "exclude": "", "reason": ""})
    return rows


def plan_actors(num_takes: int, seed: int) -> list[dict[str, str]]:
    """Rows of actors.tsv: the actors of those takes, by id, with their gender."""
    seen = {row[key] for row in plan_takes(num_takes, seed) for key in ("actor_a", "actor_b")}
    return [{"actor": actor, "gender": GENDERS[actor]} for actor in sorted(seen)]


def seconds_of_day(row: dict[str, str], seconds: float) -> float:
    """When the take begins, seconds since midnight: the takes of a session follow each other with pauses."""
    number = (int(row["scenario"]) - 1) // len(PAIRS) % TAKES_PER_SESSION
    return 36_000.0 + number * (seconds + 75.0)


TAKE_COLUMNS, ACTOR_COLUMNS = list(plan_takes(1, 0)[0]), list(plan_actors(1, 0)[0])
"""Columns of the tables, as pipeline.formats.tables has them."""
