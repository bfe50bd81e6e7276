# Training: one rule for every run of the config. Final weights are the outputs. Checkpoints are not declared,
# because Snakemake deletes what it declares before a rerun: the trainer keeps them under a hash of options,
# data and code, and resumes what matches. How many threads compute is an option, since it changes the
# weights: `threads` here only schedules, and fewer --cores make it slower, not other.


rule train_run:
    input:
        shards=study.run_shards,
        speech=study.run_speech,
        labels=study.run_labels,
        rigs=study.run_rigs,
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
        run="|".join(name for name, run in study.runs.items() if not run.swap),
    conda:
        "../environment.yml"
    threads: lambda wildcards: study.run_of(wildcards).options.threads
    resources:
        # a further attempt goes on where the one before stopped, and needs no more than that
        mem_mb=memory(lambda wildcards: study.run_of(wildcards).job_mb, grows=False),
        runtime=lambda wildcards: study.run_of(wildcards).runtime_minutes,
        cpus_per_task=lambda wildcards: study.run_of(wildcards).cpus,
        # with several nodes the job itself is one task, and the command begins others: no step around it
        nodes=lambda wildcards: study.run_of(wildcards).nodes_asked,
        tasks=lambda wildcards: study.run_of(wildcards).nodes_asked,
        mpi=lambda wildcards: "srun" if study.run_of(wildcards).nodes_asked else None,
    params:
        reads=study.reads,
        launcher=lambda wildcards: study.run_of(wildcards).launcher,
        recipe=lambda wildcards: study.run_of(wildcards).recipe,
        shards=input_folder("shards"),
        run=subpath(output[0], parent=True),
        options=study.run_flags,
    shell:
        "{params.launcher} -m models.train {params.recipe} --shards {params.shards:q} --out {params.run:q}"
        " {params.options} > {log:q} 2>&1"


# the denoiser's layer of a fine-tuned run in the run that it was fine-tuned from
if any(run.swap for run in study.runs.values()):

    rule swap_run:
        input:
            base=lambda wildcards: study.trained([study.run_of(wildcards).start]),
            tuned=lambda wildcards: study.trained([study.run_of(wildcards).swap]),
            code=code("models.swap"),
        output:
            f"{ROOT}/runs/{{run}}/model.safetensors",
            f"{ROOT}/runs/{{run}}/model.json",
        log:
            f"{ROOT}/logs/swap_run/{{run}}.log",
        benchmark:
            f"{ROOT}/timings/swap_run/{{run}}.tsv"
        wildcard_constraints:
            run="|".join(name for name, run in study.runs.items() if run.swap),
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(lambda wildcards: study.run_of(wildcards).mem_mb),
        params:
            reads=study.reads,
            base=input_folder("base"),
            tuned=input_folder("tuned"),
            run=subpath(output[0], parent=True),
        shell:
            "python -m models.swap --base {params.base:q} --tuned {params.tuned:q} --out {params.run:q}"
            " > {log:q} 2>&1"


# a name for each run: train_face, train_body_lower, ..., finetune_face, swap_face
for run in study.runs:

    rule:
        name:
            study.runs[run].target
        input:
            study.trained([run]),


rule train_body:
    input:
        study.trained(run.name for run in study.runs.values() if run.recipe == "body"),


rule train:
    input:
        study.trained(study.runs),
