# Pictures, and scores against the truth.

# film strips of the held-out takes, real and generated, and of the first training take
STRIPS = study.test_takes + [name for name in study.takes if name not in study.test_takes][:1]


rule strips:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        face=study.both(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        rigs=study.rigs,
        actions=study.both(f"{ROOT}/annotations/actions/{{performance}}.npy"),
        transcripts=study.both(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        generated=lambda wildcards: rules.generate.output if wildcards.take in study.test_takes else [],
        code=code("pipeline.strips"),
    output:
        f"{ROOT}/results/strips/{{take}}.png",
    log:
        f"{ROOT}/logs/strips/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/strips/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=800,
    params:
        generated=lambda wildcards: f"--generated {ROOT}/results/generated" if wildcards.take in study.test_takes else "",
    shell:
        "python -m pipeline.strips --bvh {input.bvh:q} --face {input.face:q} --rig {input.rigs:q} --actions {input.actions:q} --transcripts {input.transcripts:q} {params.generated} --out {output:q} > {log:q} 2>&1"


if study.simulated:

    # the one rule that reads the truth
    rule accuracy:
        input:
            shoot=[f"{study.shoot}/takes.tsv"],
            truth=expand(f"{ROOT}/truth/{{take}}/truth.json", take=study.takes),
            dataset=f"{ROOT}/dataset/dataset.json",
            actions=expand(f"{ROOT}/annotations/actions/{{name}}.npy", name=study.performances),
            facing=expand(f"{ROOT}/annotations/facing/{{name}}.npy", name=study.performances),
            transcripts=expand(f"{ROOT}/annotations/transcripts/{{name}}.json", name=study.performances),
            code=code("pipeline.accuracy"),
        output:
            f"{ROOT}/results/accuracy.csv",
        log:
            f"{ROOT}/logs/accuracy.log",
        benchmark:
            f"{ROOT}/timings/accuracy.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=800,
        params:
            shoot=input_folder("shoot"),
            truth=input_folder("truth", levels=2),
            dataset=input_folder("dataset"),
            annotations=input_folder("actions", levels=2),
        shell:
            "python -m pipeline.accuracy --shoot {params.shoot:q} --truth {params.truth:q} --dataset {params.dataset:q} --annotations {params.annotations:q} --out {output:q} > {log:q} 2>&1"
