# The simulated shoot, when there is no other: recordings under shoot/, what really happened under truth/.


if study.simulated:

    rule simulate_cast:
        input:
            code=code("pipeline.simulate.cast"),
        output:
            expand(f"{study.shoot}/{{name}}.tsv", name=["takes", "actors"]),
            expand(f"{study.shoot}/rigs/{{actor}}.npz", actor=study.actors),
        params:
            options=f"--seed {study.config.seed} {flags(study.config.simulate)}",
        log:
            f"{ROOT}/logs/simulate_cast.log",
        benchmark:
            f"{ROOT}/timings/simulate_cast.tsv"
        threads: 1
        resources:
            mem_mb=400,
        shell:
            "python -m pipeline.simulate.cast --out {study.shoot:q} {params.options} > {log:q} 2>&1"
