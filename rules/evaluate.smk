# Both actors' motion for the held-out takes, and the table that compares models.

TEST_PERFORMANCES = [name for take in study.test_takes for name in study.takes[take].performances]
# sample 0 stands in the folder itself, further ones (for the diversity metrics) in sample-01, sample-02, ...
SAMPLES = [""] + [f"sample-{i:02d}/" for i in range(1, study.config.generate.num_samples)]


rule generate:
    input:
        models=FACE["output"] + LOWER["output"] + UPPER["output"],
        shards=FACE["input"],
        code=code("models.generate"),
    output:
        expand(f"{ROOT}/results/generated/{{sample}}bvhs/{{name}}.bvh", sample=SAMPLES, name=TEST_PERFORMANCES),
        expand(f"{ROOT}/results/generated/{{sample}}face_arkit/{{name}}.npy", sample=SAMPLES, name=TEST_PERFORMANCES),
    params:
        takes=study.test_takes,
        options=flags(study.config.generate),
    log:
        f"{ROOT}/logs/generate.log",
    benchmark:
        f"{ROOT}/timings/generate.tsv"
    threads: 2
    resources:
        mem_mb=3000,
    shell:
        "python -m models.generate --runs {ROOT}/runs --shards {ROOT}/shards --takes {params.takes} --out {ROOT}/results/generated {params.options} > {log:q} 2>&1"


rule evaluate:
    input:
        generated=rules.generate.output,
        shards=FACE["input"],
        rigs=expand(f"{study.dataset}/rigs/{{actor}}.npz", actor=study.actors),
        code=code("models.evaluate"),
    output:
        table=f"{ROOT}/results/table.csv",
        page=f"{ROOT}/results/table.html",
    params:
        options=flags(study.config.evaluate),
    log:
        f"{ROOT}/logs/evaluate.log",
    benchmark:
        f"{ROOT}/timings/evaluate.tsv"
    threads: 2
    resources:
        mem_mb=2000,
    shell:
        "python -m models.evaluate --shards {ROOT}/shards --generated {ROOT}/results/generated --rigs {study.dataset:q}/rigs --out-table {output.table:q} --out-page {output.page:q} {params.options} > {log:q} 2>&1"
