# HDF5 shards: whole takes end to end, by a plan that never changes for takes that it knows.


# plan.json is updated, never deleted: a shard keeps its takes, new takes make new shards
rule shard_plan:
    input:
        code=code("pipeline.shard_plan"),
    output:
        update(f"{ROOT}/shards/plan.json"),
    params:
        takes=list(study.takes),
        options=flags(study.config.shards),
    log:
        f"{ROOT}/logs/shard_plan.log",
    benchmark:
        f"{ROOT}/timings/shard_plan.tsv"
    threads: 1
    resources:
        mem_mb=200,
    shell:
        "python -m pipeline.shards plan --takes {params.takes} --out {output:q} {params.options} > {log:q} 2>&1"


def shard_input(pattern):
    """Input function: one file per performance ({performance}) or take ({take}) of a shard."""

    def files(wildcards):
        takes = [study.takes[name] for name in study.shards[wildcards.shard]]
        if "{performance}" in pattern:
            return [pattern.format(performance=name) for take in takes for name in take.performances]
        return [pattern.format(take=take.name) for take in takes]

    return files


rule shards:
    input:
        face=shard_input(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        actions=shard_input(f"{ROOT}/annotations/actions/{{performance}}.npy"),
        facing=shard_input(f"{ROOT}/annotations/facing/{{performance}}.npy"),
        quality=shard_input(f"{ROOT}/annotations/quality/{{take}}.json"),
        features=shard_input(f"{ROOT}/features/{{take}}.h5"),
        text=shard_input(f"{ROOT}/features/{{take}}.text.h5"),
        dataset=[] if study.config.dataset else ancient(f"{ROOT}/dataset/takes.tsv"),
        code=code("pipeline.shards"),
    output:
        f"{ROOT}/shards/{{shard}}.h5",
    params:
        takes=lambda wildcards: study.shards[wildcards.shard],
        splits=lambda wildcards: [study.split[name] for name in study.shards[wildcards.shard]],
        options=flags(study.config.shards),
    log:
        f"{ROOT}/logs/shards/{{shard}}.log",
    benchmark:
        f"{ROOT}/timings/shards/{{shard}}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m pipeline.shards build --dataset {study.dataset:q} --annotations {ROOT}/annotations --features {ROOT}/features --takes {params.takes} --splits {params.splits} --out {output:q} {params.options} > {log:q} 2>&1"


rule shard_index:
    input:
        shards=expand(f"{ROOT}/shards/{{shard}}.h5", shard=study.shards),
        code=code("pipeline.shard_index"),
    output:
        index=f"{ROOT}/shards/index.parquet",
        stats=f"{ROOT}/shards/stats.json",
    log:
        f"{ROOT}/logs/shard_index.log",
    benchmark:
        f"{ROOT}/timings/shard_index.tsv"
    threads: 1
    resources:
        mem_mb=800,
    shell:
        "python -m pipeline.shards index --shards {input.shards:q} --index {output.index:q} --stats {output.stats:q} > {log:q} 2>&1"
