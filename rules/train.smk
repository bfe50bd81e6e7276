# Training: one rule for every run of the config. Final weights are the outputs. Checkpoints are not declared,
# because Snakemake deletes what it declares before a rerun: the trainer keeps them under a hash of options,
# data and code, and resumes what matches. How many threads compute is an option, since it changes the
# weights: `threads` here only schedules, and fewer --cores make it slower, not other.


rule train_run:
    input:
        shards=study.shard_files,
        speech=study.run_speech,
        labels=study.run_labels,
        runs=study.run_inputs,
        code=study.run_code,
    output:
        f"{ROOT}/runs/{{run}}/model.safetensors",
        f"{ROOT}/runs/{{run}}/model.json",
    log:
        f"{ROOT}/logs/train_run/{{run}}.log",
    benchmark:
        f"{ROOT}/timings/train_run/{{run}}.tsv"
    wildcard_constraints:
        run="|".join(study.runs),
    conda:
        "../environment.yml"
    threads: lambda wildcards: study.run_of(wildcards).options.threads
    resources:
        mem_mb=lambda wildcards: study.run_of(wildcards).mem_mb,
        runtime=lambda wildcards: study.run_of(wildcards).runtime_minutes,
    params:
        reads=study.reads,
        recipe=lambda wildcards: study.run_of(wildcards).recipe,
        shards=input_folder("shards"),
        run=subpath(output[0], parent=True),
        options=study.run_flags,
    shell:
        "python -m models.train {params.recipe} --shards {params.shards:q} --out {params.run:q}"
        " {params.options} > {log:q} 2>&1"


# a name for each run: train_face, train_body_lower, ...
for run in study.runs:

    rule:
        name:
            f"train_{run}"
        input:
            study.trained([run]),


rule train_body:
    input:
        study.trained(run.name for run in study.runs.values() if run.recipe == "body"),


rule train:
    input:
        study.trained(study.runs),
