# Both actors' motion for the held-out takes, and the table that compares models.

TEST_PERFORMANCES = [name for take in study.test_takes for name in study.takes[take].performances]
# sample 0 stands in the folder itself, further ones (for the diversity metrics) in sample-01, sample-02, ...
SAMPLES = [""] + [f"sample-{i:02d}/" for i in range(1, study.config.generate.num_samples)]


rule generate:
    input:
        models=rules.train.input,
        shards=study.shard_files,
        speech=study.speech_files,
        code=code("models.generate"),
    output:
        f"{ROOT}/results/generated/generated.json",
        expand(
            f"{ROOT}/results/generated/{{sample}}bvhs/{{name}}.bvh", sample=SAMPLES, name=TEST_PERFORMANCES
        ),
        expand(
            f"{ROOT}/results/generated/{{sample}}face_arkit/{{name}}.npy",
            sample=SAMPLES,
            name=TEST_PERFORMANCES,
        ),
    log:
        f"{ROOT}/logs/generate.log",
    benchmark:
        f"{ROOT}/timings/generate.tsv"
    conda:
        "../environment.yml"
    threads: study.config.generate.threads
    resources:
        mem_mb=3000,
    params:
        reads=study.reads,
        runs=input_folder("models", levels=2),
        shards=input_folder("shards"),
        out=subpath(output[0], parent=True),
        speech=study.speech_flag,
        takes=study.held_out,
        options=flags(study.config.generate),
    shell:
        "python -m models.generate --runs {params.runs:q} --shards {params.shards:q} {params.speech} --takes {params.takes} --out {params.out:q} {params.options} > {log:q} 2>&1"


rule evaluate:
    input:
        generated=rules.generate.output,
        shards=study.shard_files,
        rigs=[study.rig(actor) for actor in study.actors],
        code=code("models.evaluate"),
    output:
        table=report(
            f"{ROOT}/results/table.csv",
            caption="../workflow/report/metrics.rst",
            category="Results",
            subcategory="Metrics",
            labels={"file": "table (CSV)"},
        ),
        page=report(
            f"{ROOT}/results/table.html",
            caption="../workflow/report/metrics.rst",
            category="Results",
            subcategory="Metrics",
            labels={"file": "page"},
        ),
    log:
        f"{ROOT}/logs/evaluate.log",
    benchmark:
        f"{ROOT}/timings/evaluate.tsv"
    conda:
        "../environment.yml"
    threads: 2
    resources:
        mem_mb=2000,
    params:
        reads=study.reads,
        shards=input_folder("shards"),
        generated=input_folder("generated"),
        rigs=study.rig_source,
        options=flags(study.config.evaluate),
    shell:
        "python -m models.evaluate --shards {params.shards:q} --generated {params.generated:q} --rigs {params.rigs:q} --out-table {output.table:q} --out-page {output.page:q} {params.options} > {log:q} 2>&1"
