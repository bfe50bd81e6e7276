# The simulated shoot, when there is no other: recordings under shoot/, what really happened under truth/.


if study.simulated:

    rule simulate_cast:
        input:
            code=code("pipeline.simulate.cast"),
        output:
            expand(f"{study.shoot}/{{name}}.tsv", name=["takes", "actors"]),
            expand(f"{study.shoot}/rigs/{{actor}}.npz", actor=study.actors),
            f"{study.shoot}/lip_acc/lip_acc.tsv" if study.lip_acc else [],
        log:
            f"{ROOT}/logs/simulate_cast.log",
        benchmark:
            f"{ROOT}/timings/simulate_cast.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(400),
        params:
            reads=study.reads,
            shoot=subpath(output[0], parent=True),
            seed=study.config.seed,
            options=flags(study.config.simulate),
        shell:
            "python -m pipeline.simulate.cast --out {params.shoot:q} --seed {params.seed}"
            " {params.options} > {log:q} 2>&1"

    if study.lip_acc:

        rule simulate_lips:
            input:
                code=code("pipeline.simulate.lips"),
            output:
                expand(f"{study.shoot}/lip_acc/{{performance}}.mesh.h5", performance=study.lip_acc),
                expand(f"{study.shoot}/lip_acc/{{performance}}.wav", performance=study.lip_acc),
                expand(
                    f"{ROOT}/truth/lip_acc/{{performance}}.{{kind}}",
                    performance=study.lip_acc,
                    kind=["arkit.npy", "seconds.npy", "wav"],
                ),
                truth=f"{ROOT}/truth/lip_acc/truth.json",
            log:
                f"{ROOT}/logs/simulate_lips.log",
            benchmark:
                f"{ROOT}/timings/simulate_lips.tsv"
            conda:
                "../environment.yml"
            threads: 1
            resources:
                mem_mb=memory(800),
            params:
                reads=study.reads,
                shoot=subpath(output[0], ancestor=2),
                truth=subpath(output.truth, ancestor=2),
                seed=study.config.seed,
                options=flags(study.config.simulate, without=("num_takes", "seconds")),
            shell:
                "python -m pipeline.simulate.lips --out {params.shoot:q} --truth {params.truth:q}"
                " --seed {params.seed} {params.options} > {log:q} 2>&1"

    # One job writes both performances of a take, but a file name tells one actor only: so there is a rule for
    # each pair of actors, which knows its scenarios (a scenario of the simulated shoot is one take).
    for a, b in sorted({take.actors for take in study.takes.values()}):

        rule:
            name:
                f"simulate_take_{a}_{b}"
            input:
                code=code("pipeline.simulate.take"),
            output:
                f"{study.shoot}/{{date}}_{{scenario}}/timecode.json",
                multiext(
                    f"{study.shoot}/{{date}}_{{scenario}}/{{date}}_{a}_{{scenario}}",
                    ".bvh",
                    ".mesh.h5",
                    ".wav",
                ),
                multiext(
                    f"{study.shoot}/{{date}}_{{scenario}}/{{date}}_{b}_{{scenario}}",
                    ".bvh",
                    ".mesh.h5",
                    ".wav",
                ),
                multiext(
                    f"{ROOT}/truth/{{date}}_{{scenario}}/{{date}}_{a}_{{scenario}}",
                    ".arkit.npy",
                    ".seconds.npy",
                    ".wav",
                    ".actions.npy",
                    ".facing.npy",
                ),
                multiext(
                    f"{ROOT}/truth/{{date}}_{{scenario}}/{{date}}_{b}_{{scenario}}",
                    ".arkit.npy",
                    ".seconds.npy",
                    ".wav",
                    ".actions.npy",
                    ".facing.npy",
                ),
                truth=f"{ROOT}/truth/{{date}}_{{scenario}}/truth.json",
            log:
                f"{ROOT}/logs/simulate_take/{{date}}_{{scenario}}.log",
            benchmark:
                f"{ROOT}/timings/simulate_take/{{date}}_{{scenario}}.tsv"
            wildcard_constraints:
                date=r"\d{8}",
                scenario="|".join(take.scenario for take in study.takes.values() if take.actors == (a, b)),
            conda:
                "../environment.yml"
            threads: 1
            resources:
                mem_mb=memory(800),
            params:
                reads=study.reads,
                shoot=subpath(output[0], ancestor=2),
                truth=subpath(output.truth, ancestor=2),
                seed=study.config.seed,
                options=flags(study.config.simulate, without=("num_takes", "lip_passages")),
            shell:
                "python -m pipeline.simulate.take --take {wildcards.date}_{wildcards.scenario}"
                " --out {params.shoot:q} --truth {params.truth:q} --seed {params.seed}"
                " {params.options} > {log:q} 2>&1"
