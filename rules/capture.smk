# From raw streams to the dataset. Runs for a shoot, simulated or real; not for a downloaded release.


def raw(kind):
    """Input function: the raw stream files of a take in actor order, or of one performance."""

    def files(wildcards):
        if hasattr(wildcards, "performance"):
            names = [wildcards.performance]
        else:
            names = study.takes[wildcards.take].performances
        return [study.raw_file(name, kind) for name in names]

    return files


def take_file(pattern):
    """Input function: a file of the take that a performance belongs to."""
    return lambda wildcards: pattern.format(take=study.take_of[wildcards.performance].name)


if not study.config.dataset:

    rule sync:
        input:
            timecode=f"{study.shoot}/{{take}}/timecode.json",
            bvh=raw("bvh"),
            face=raw("face"),
            wav=raw("wav"),
            code=code("pipeline.sync"),
        output:
            f"{ROOT}/annotations/sync/{{take}}.json",
        params:
            actors=lambda wildcards: study.takes[wildcards.take].actors,
            options=flags(study.config.sync),
        log:
            f"{ROOT}/logs/sync/{{take}}.log",
        benchmark:
            f"{ROOT}/timings/sync/{{take}}.tsv"
        threads: 1
        resources:
            mem_mb=400,
        shell:
            "python -m pipeline.sync --timecode {input.timecode:q} --actors {params.actors} --bvh {input.bvh:q} --face {input.face:q} --wav {input.wav:q} --out {output:q} {params.options} > {log:q} 2>&1"

    rule body:
        input:
            bvh=raw("bvh"),
            sync=take_file(f"{ROOT}/annotations/sync/{{take}}.json"),
            code=code("pipeline.body"),
        output:
            bvh=f"{ROOT}/dataset/bvhs/{{performance}}.bvh",
            report=f"{ROOT}/annotations/body/{{performance}}.json",
        params:
            options=flags(study.config.body),
        log:
            f"{ROOT}/logs/body/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/body/{{performance}}.tsv"
        threads: 1
        resources:
            mem_mb=600,
        shell:
            "python -m pipeline.body --bvh {input.bvh:q} --sync {input.sync:q} --performance {wildcards.performance} --out {output.bvh:q} --out-report {output.report:q} {params.options} > {log:q} 2>&1"

    rule blendshapes:
        input:
            face=raw("face"),
            rig=lambda wildcards: f"{study.shoot}/rigs/{wildcards.performance.split('_')[1]}.npz",
            sync=take_file(f"{ROOT}/annotations/sync/{{take}}.json"),
            code=code("pipeline.blendshapes"),
        output:
            weights=f"{ROOT}/dataset/face_arkit/{{performance}}.npy",
            report=f"{ROOT}/annotations/fit/{{performance}}.json",
        params:
            options=flags(study.config.blendshapes),
        log:
            f"{ROOT}/logs/blendshapes/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/blendshapes/{{performance}}.tsv"
        threads: 1
        resources:
            mem_mb=800,
        shell:
            "python -m pipeline.blendshapes --face {input.face:q} --rig {input.rig:q} --sync {input.sync:q} --performance {wildcards.performance} --out {output.weights:q} --out-report {output.report:q} {params.options} > {log:q} 2>&1"

    rule separation:
        input:
            wav=lambda wildcards: [study.raw_file(name, "wav") for name in study.take_of[wildcards.performance].performances],
            sync=take_file(f"{ROOT}/annotations/sync/{{take}}.json"),
            code=code("pipeline.separation"),
        output:
            wav=f"{ROOT}/dataset/wav/{{performance}}.wav",
            report=f"{ROOT}/annotations/separation/{{performance}}.json",
        params:
            options=flags(study.config.separation),
        log:
            f"{ROOT}/logs/separation/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/separation/{{performance}}.tsv"
        threads: 1
        resources:
            mem_mb=800,
        shell:
            "python -m pipeline.separation --wav {input.wav:q} --sync {input.sync:q} --performance {wildcards.performance} --out {output.wav:q} --out-report {output.report:q} {params.options} > {log:q} 2>&1"

    rule dataset:
        input:
            tables=expand(f"{study.shoot}/{{name}}.tsv", name=["takes", "actors"]),
            rigs=expand(f"{study.shoot}/rigs/{{actor}}.npz", actor=study.actors),
            sync=expand(f"{ROOT}/annotations/sync/{{take}}.json", take=study.takes),
            bvh=expand(f"{ROOT}/dataset/bvhs/{{performance}}.bvh", performance=study.performances),
            face=expand(f"{ROOT}/dataset/face_arkit/{{performance}}.npy", performance=study.performances),
            wav=expand(f"{ROOT}/dataset/wav/{{performance}}.wav", performance=study.performances),
            code=code("pipeline.dataset"),
        output:
            expand(f"{ROOT}/dataset/{{name}}", name=["dataset.json", "takes.tsv", "scenarios.db", "actors.db"]),
            expand(f"{ROOT}/dataset/rigs/{{actor}}.npz", actor=study.actors),
        log:
            f"{ROOT}/logs/dataset.log",
        benchmark:
            f"{ROOT}/timings/dataset.tsv"
        threads: 1
        resources:
            mem_mb=400,
        shell:
            "python -m pipeline.dataset --shoot {study.shoot:q} --sync {ROOT}/annotations/sync --out {ROOT}/dataset > {log:q} 2>&1"
