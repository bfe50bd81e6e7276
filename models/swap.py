"""Put the denoiser's layer of a fine-tuned run into the run that it was fine-tuned from.

    python -m models.swap --base data/runs/face --tuned data/runs/finetune_face --out data/runs/swap_face

In: a run, and one that began with its weights and went on with a lip-accurate set of one actor. Out: a run
folder like any other, of the first run's weights but for those that the recipe calls `swapped`: of a face the
decoder layer, which shapes lips (paper, appendix B.2). What encodes voices and styles, and what decodes
weights, stays the first one's, so that actors keep their own mouths: fine-tuned all through, all would get
the mouth of the one who reads.
"""

import argparse
import hashlib
from pathlib import Path

from models import runs
from models.checkpoints import PROOFS
from models.weights import write_tensors
from pipeline import ownership, stage
from pipeline.errors import InputError
from pipeline.files import whole, write_json

WRITTEN = ("model.safetensors", "model.json", "CARD.md")
SAME = ("recipe", "actors", "stats", "feature_names", "joint_names", "labels")
"""Of model.json what must be alike in both: then a weight means the same in either."""


def swapped(base: runs.Run, tuned: runs.Run) -> dict:
    """The weights of `base` with those of `tuned` that their recipe names.

    InputError where the two do not fit.
    """
    names = type(base.model).swapped
    if not names:
        raise InputError(
            f"run {base.name}: nothing of recipe {base.description['recipe']} is swapped; name a face"
        )
    if tuned.description["start"] != base.name:
        raise InputError(
            f"run {tuned.name}: began with {tuned.description['start'] or 'no other run'}, need {base.name};"
            " name the run that it was fine-tuned from"
        )
    for key in SAME:
        if base.description.get(key) != tuned.description.get(key):
            raise InputError(
                f"run {tuned.name}: its {key} differs from that of {base.name}; fine-tune it again"
            )
    own, other = base.model.state_dict(), tuned.model.state_dict()
    if odd := [name for name in own if name not in other or own[name].shape != other[name].shape]:
        raise InputError(
            f"run {tuned.name}: {odd[0]} is of another size than in {base.name}; fine-tune it again"
        )
    return {name: (other if name.startswith(names) else own)[name] for name in own}


def run(*, base: Path, tuned: Path, out: Path) -> None:
    """Write the run folder."""
    ownership.need_proof(out, [out / name for name in WRITTEN], PROOFS)
    first, second = runs.load(base), runs.load(tuned)
    weights = swapped(first, second)
    names = ", ".join(f"{name}*" for name in type(first.model).swapped)
    hashes = [first.description["hash"], second.description["hash"], names]
    description = first.description | {
        "run": out.name,
        "start": first.name,
        "hash": hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:32],
    }
    (out / PROOFS[0]).mkdir(parents=True, exist_ok=True)
    write_tensors(out / "model.safetensors", weights)
    write_json(out / "model.json", description, durable=True)
    count = sum(w.numel() for name, w in weights.items() if name.startswith(type(first.model).swapped))
    text = "\n".join(
        [
            f"# {out.name}",
            "",
            f"Recipe {description['recipe']}, at 30 frames per second. The weights of run {first.name}, but"
            f" for {count:,} of its denoiser's layer ({names}), which are those of {second.name}.",
            "",
            f"- hash of both: {description['hash']}; {first.name} {hashes[0]}, {second.name} {hashes[1]}",
            "",
            "Use: `python -m models.generate --runs <folder of runs> --audio A.wav B.wav --out DIR`.",
            "",
        ]
    )
    with whole(out / "CARD.md") as temporary:
        temporary.write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser: argparse.ArgumentParser = stage.parser(__doc__)
    parser.add_argument("--base", type=Path, required=True, help="run whose weights are kept")
    parser.add_argument("--tuned", type=Path, required=True, help="run fine-tuned from it")
    parser.add_argument("--out", type=Path, required=True, help="run folder to write; its name is the run's")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
