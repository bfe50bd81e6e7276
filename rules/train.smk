# Training. Final weights are the outputs; checkpoints are not declared, because Snakemake deletes what it declares
# before a rerun: the trainer keeps them under a hash of config, data and model code and resumes what matches.


def training(name, section):
    """Inputs, outputs and flags of one model's training."""
    run = f"{ROOT}/runs/{name}"
    return {
        "input": [
            *expand(f"{ROOT}/shards/{{shard}}.h5", shard=study.shards),
            f"{ROOT}/shards/index.parquet",
            f"{ROOT}/shards/stats.json",
        ],
        "output": [f"{run}/model.safetensors", f"{run}/model.json"],
        "options": flags(section),
    }


FACE = training("face", study.config.face_model)
LOWER = training("body_lower", study.config.body_model)
UPPER = training("body_upper", study.config.body_model)


rule train_face:
    input:
        FACE["input"],
        code=code("models.train"),
    output:
        FACE["output"],
    params:
        options=FACE["options"],
    log:
        f"{ROOT}/logs/train_face.log",
    benchmark:
        f"{ROOT}/timings/train_face.tsv"
    threads: 2
    resources:
        mem_mb=3000,
    shell:
        "python -m models.train face --shards {ROOT}/shards --out {ROOT}/runs/face {params.options} > {log:q} 2>&1"


rule train_body_lower:
    input:
        LOWER["input"],
        code=code("models.train"),
    output:
        LOWER["output"],
    params:
        options=LOWER["options"],
    log:
        f"{ROOT}/logs/train_body_lower.log",
    benchmark:
        f"{ROOT}/timings/train_body_lower.tsv"
    threads: 2
    resources:
        mem_mb=3000,
    shell:
        "python -m models.train body_lower --shards {ROOT}/shards --out {ROOT}/runs/body_lower {params.options} > {log:q} 2>&1"


rule train_body_upper:
    input:
        UPPER["input"],
        code=code("models.train"),
    output:
        UPPER["output"],
    params:
        options=UPPER["options"],
    log:
        f"{ROOT}/logs/train_body_upper.log",
    benchmark:
        f"{ROOT}/timings/train_body_upper.tsv"
    threads: 2
    resources:
        mem_mb=3000,
    shell:
        "python -m models.train body_upper --shards {ROOT}/shards --out {ROOT}/runs/body_upper {params.options} > {log:q} 2>&1"


rule train_body:
    input:
        LOWER["output"],
        UPPER["output"],


rule train:
    input:
        FACE["output"],
        LOWER["output"],
        UPPER["output"],
