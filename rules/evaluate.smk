# Both actors' motion for the held-out takes, a folder for each row of the table; and the table.


for row in study.rows:

    rule:
        name:
            f"generate_{row.folder}"
        input:
            models=study.trained(run.name for run in row.runs),
            shards=study.shard_files,
            speech=study.speech_files if study.row_hears(row) else [],
            labels=study.row_labels(row),
            rigs=study.row_rigs(row),
            code=study.row_code(row),
        output:
            f"{study.row_folder(row)}/generated.json",
            study.generated(row),
        log:
            f"{ROOT}/logs/generate/{row.folder}.log",
        benchmark:
            f"{ROOT}/timings/generate/{row.folder}.tsv"
        conda:
            "../environment.yml"
        threads: study.config.generate.threads
        resources:
            mem_mb=memory(row.mem_mb),
            runtime=minutes(row.runtime_minutes),
            cpus_per_task=study.config.generate.threads,
        params:
            reads=study.reads,
            runs=[f"{ROOT}/runs/{run.name}" for run in row.runs],
            shards=input_folder("shards"),
            speech=["--speech", study.speech_folder] if study.row_hears(row) else [],
            rigs=["--rigs", study.rigs_path(study.row_rigs(row))] if study.row_rigs(row) else [],
            out=subpath(output[0], parent=True),
            takes=study.held_out,
            options=flags(study.config.generate.model_copy(update={"num_samples": row.num_samples})),
        shell:
            "python -m models.generate --runs {params.runs:q} --shards {params.shards:q} {params.speech:q}"
            " {params.rigs:q} --takes {params.takes} --out {params.out:q} {params.options} > {log:q} 2>&1"


rule generate:
    input:
        [f"{study.row_folder(row)}/generated.json" for row in study.rows],


rule evaluate:
    input:
        generated=[
            path
            for row in study.rows
            for path in (f"{study.row_folder(row)}/generated.json", *study.generated(row))
        ],
        shards=study.shard_files,
        rigs=[study.rig(actor) for actor in study.actors],
        lip_set=expand(f"{study.dataset}/lip_acc/face_arkit/{{name}}.npy", name=study.lip_acc),
        transcripts=expand(f"{ROOT}/annotations/transcripts/{{name}}.json", name=study.test_performances),
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
        faces=report(
            f"{ROOT}/results/faces.csv",
            caption="../workflow/report/faces.rst",
            category="Results",
            subcategory="Faces",
            labels={"file": "table (CSV)"},
        ),
        faces_page=report(
            f"{ROOT}/results/faces.html",
            caption="../workflow/report/faces.rst",
            category="Results",
            subcategory="Faces",
            labels={"file": "page"},
        ),
        mouths=f"{ROOT}/results/mouths.csv",
    log:
        f"{ROOT}/logs/evaluate.log",
    benchmark:
        f"{ROOT}/timings/evaluate.tsv"
    conda:
        "../environment.yml"
    threads: 2
    resources:
        mem_mb=memory(2000),
        cpus_per_task=2,
    params:
        reads=study.reads,
        shards=input_folder("shards"),
        generated=[study.row_folder(row) for row in study.rows],
        rows=[row.name for row in study.rows],
        rigs=study.rig_source,
        transcripts=input_folder("transcripts"),
        lip_set=["--lip-set", f"{study.dataset}/lip_acc/face_arkit"] if study.lip_acc else [],
        faces=subpath(output.faces, parent=True),
        release=["--trained-on-release"] if study.config.dataset else [],
        facing=study.facing_flags,
        options=flags(study.config.evaluate),
    shell:
        "python -m models.evaluate --shards {params.shards:q} --generated {params.generated:q}"
        " --rows {params.rows:q} --rigs {params.rigs:q} --transcripts {params.transcripts:q}"
        " {params.lip_set:q} --viewer viewer --out-table {output.table:q} --out-page {output.page:q}"
        " --out-faces {params.faces:q} {params.release} {params.facing} {params.options} > {log:q} 2>&1"
