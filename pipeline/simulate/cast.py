"""The tables and rigs of the simulated shoot.

In: the number of takes, the size of the heads and a seed. Out, under --out: takes.tsv, actors.tsv,
lip_acc/lip_acc.tsv and rigs/<actor>.npz (neutral (V, 3) cm, names (51), deltas (51, V, 3) cm, faces (F, 4),
regions).
"""

from pathlib import Path

from pipeline import config, stage
from pipeline.files import write_tsv
from pipeline.formats.rig_file import Rig, save_rig
from pipeline.simulate import passages, plan
from pipeline.simulate.head import make_head


def run(*, out: Path, seed: int, options: config.Simulate) -> None:
    """Write both tables and the rig of every actor that plays."""
    actors = plan.plan_actors(options.num_takes, seed)
    for row in actors:
        head = make_head(row["actor"], options.num_vertices)
        save_rig(out / "rigs" / f"{row['actor']}.npz", Rig(head.neutral, head.deltas, head.faces))
    write_tsv(out / "actors.tsv", plan.ACTOR_COLUMNS, actors)
    if options.lip_passages:
        lips = passages.plan_lips(options.lip_passages, seed)
        write_tsv(out / "lip_acc" / "lip_acc.tsv", passages.LIP_COLUMNS, lips)
    write_tsv(out / "takes.tsv", plan.TAKE_COLUMNS, plan.plan_takes(options.num_takes, seed))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Simulate)
    parser.add_argument("--out", type=Path, required=True, help="folder of the shoot")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shoot (default: 0)")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
