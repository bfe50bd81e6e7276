# Pictures, and scores against the truth.


# film strips of the held-out takes, real and generated, and of the first training take
STRIPS = study.shown_takes

# pictures and pages beside the results; a download has no sync and no fits, and only a simulated shoot has a
# truth
REPORT = [f"{name}.png" for name in STRIPS] + ["losses.png"]
if not study.config.dataset:
    REPORT += ["sync.csv", "sync.html", "residuals.png"] + [
        f"{kind}/{name}.png" for kind in ("body", "face") for name in STRIPS
    ]
if study.simulated:
    REPORT += ["accuracy.html"]


rule strips:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        face=study.both(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        rigs=study.rigs,
        actions=study.both(f"{ROOT}/annotations/actions/{{performance}}.npy"),
        facing=study.both(f"{ROOT}/annotations/facing/{{performance}}.npy"),
        transcripts=study.both(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        generated=study.generated_of,
        code=code("pipeline.figures.strips"),
    output:
        report(
            f"{ROOT}/results/strips/{{take}}.png",
            caption="../workflow/report/strip.rst",
            category="Takes",
            subcategory="Film strips",
            labels=study.take_label,
        ),
    log:
        f"{ROOT}/logs/strips/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/strips/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(800),
    params:
        reads=study.reads,
        generated=lambda wildcards: (
            ["--generated", study.row_folder(study.shown_row)]
            if wildcards.take in study.test_takes and study.shown_row
            else []
        ),
    shell:
        "python -m pipeline.figures.strips --bvh {input.bvh:q} --face {input.face:q} --rig {input.rigs:q}"
        " --actions {input.actions:q} --facing {input.facing:q} --transcripts {input.transcripts:q}"
        " {params.generated:q} --out {output:q} > {log:q} 2>&1"


rule report_take:
    input:
        sync=[] if study.config.dataset else f"{ROOT}/annotations/sync/{{take}}.json",
        microphones=[] if study.config.dataset else study.raw("wav"),
        voices=[] if study.config.dataset else study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        actions=study.both(f"{ROOT}/annotations/actions/{{performance}}.npy"),
        facing=study.both(f"{ROOT}/annotations/facing/{{performance}}.npy"),
        transcripts=study.both(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        code=code("pipeline.report.take"),
    output:
        report(
            f"{ROOT}/results/report/{{take}}.png",
            caption="../workflow/report/take.rst",
            category="Takes",
            subcategory="Streams and labels",
            labels=study.take_label,
        ),
    log:
        f"{ROOT}/logs/report_take/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/report_take/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
    params:
        reads=study.reads,
    shell:
        "python -m pipeline.report.take --sync {input.sync:q} --microphones {input.microphones:q}"
        " --voices {input.voices:q} --actions {input.actions:q} --facing {input.facing:q}"
        " --transcripts {input.transcripts:q} --out {output:q} > {log:q} 2>&1"


rule report_losses:
    input:
        models=study.trained(study.needed_trainings),
        code=code("pipeline.report.losses"),
    output:
        report(
            f"{ROOT}/results/report/losses.png",
            caption="../workflow/report/losses.rst",
            category="Training",
            labels={"picture": "losses"},
        ),
    log:
        f"{ROOT}/logs/report_losses.log",
    benchmark:
        f"{ROOT}/timings/report_losses.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(400),
    params:
        reads=study.reads,
        runs=[f"{ROOT}/runs/{name}" for name in study.needed_trainings],
    shell:
        "python -m pipeline.report.losses --runs {params.runs:q} --out {output:q} > {log:q} 2>&1"


if not study.config.dataset:

    rule report_sync:
        input:
            takes=f"{study.dataset}/takes.tsv",
            sync=expand(f"{ROOT}/annotations/sync/{{take}}.json", take=study.takes),
            code=code("pipeline.report.sync"),
        output:
            table=report(
                f"{ROOT}/results/report/sync.csv",
                caption="../workflow/report/sync.rst",
                category="Capture",
                subcategory="Sync",
                labels={"file": "table (CSV)"},
            ),
            page=report(
                f"{ROOT}/results/report/sync.html",
                caption="../workflow/report/sync.rst",
                category="Capture",
                subcategory="Sync",
                labels={"file": "page"},
            ),
        log:
            f"{ROOT}/logs/report_sync.log",
        benchmark:
            f"{ROOT}/timings/report_sync.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(300),
        params:
            reads=study.reads,
            sync=input_folder("sync"),
        shell:
            "python -m pipeline.report.sync --takes {input.takes:q} --sync {params.sync:q}"
            " --out {output.table:q} --out-page {output.page:q} > {log:q} 2>&1"

    rule report_body:
        input:
            bvh=study.raw("bvh"),
            reports=study.both(f"{ROOT}/annotations/body/{{performance}}.json"),
            code=code("pipeline.report.body"),
        output:
            report(
                f"{ROOT}/results/report/body/{{take}}.png",
                caption="../workflow/report/body.rst",
                category="Takes",
                subcategory="Bodies at their worst",
                labels=study.take_label,
            ),
        log:
            f"{ROOT}/logs/report_body/{{take}}.log",
        benchmark:
            f"{ROOT}/timings/report_body/{{take}}.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(1000),
        params:
            reads=study.reads,
        shell:
            "python -m pipeline.report.body --bvh {input.bvh:q} --reports {input.reports:q} --out {output:q}"
            " > {log:q} 2>&1"

    rule report_face:
        input:
            face=study.raw("face"),
            beside=study.beside_face,
            rig=study.shoot_rigs,
            reports=study.both(f"{ROOT}/annotations/fit/{{performance}}.json"),
            code=code("pipeline.report.face"),
        output:
            report(
                f"{ROOT}/results/report/face/{{take}}.png",
                caption="../workflow/report/face.rst",
                category="Takes",
                subcategory="Face fits",
                labels=study.take_label,
            ),
        log:
            f"{ROOT}/logs/report_face/{{take}}.log",
        benchmark:
            f"{ROOT}/timings/report_face/{{take}}.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(1500),
        params:
            reads=study.reads,
        shell:
            "python -m pipeline.report.face --face {input.face:q} --rig {input.rig:q}"
            " --reports {input.reports:q} --out {output:q} > {log:q} 2>&1"

    rule report_residuals:
        input:
            takes=f"{study.dataset}/takes.tsv",
            fits=expand(f"{ROOT}/annotations/fit/{{name}}.json", name=study.performances),
            code=code("pipeline.report.residuals"),
        output:
            report(
                f"{ROOT}/results/report/residuals.png",
                caption="../workflow/report/residuals.rst",
                category="Capture",
                subcategory="Face fits",
                labels={"file": "residuals"},
            ),
        log:
            f"{ROOT}/logs/report_residuals.log",
        benchmark:
            f"{ROOT}/timings/report_residuals.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(400),
        params:
            reads=study.reads,
            fits=input_folder("fits"),
        shell:
            "python -m pipeline.report.residuals --takes {input.takes:q} --fits {params.fits:q}"
            " --out {output:q} > {log:q} 2>&1"


if study.simulated:

    # the one rule that reads the truth
    rule accuracy:
        input:
            shoot=[f"{study.shoot}/takes.tsv"],
            truth=expand(f"{ROOT}/truth/{{take}}/truth.json", take=study.takes),
            dataset=f"{ROOT}/dataset/dataset.json",
            sync=expand(f"{ROOT}/annotations/sync/{{take}}.json", take=study.takes),
            actions=expand(f"{ROOT}/annotations/actions/{{name}}.npy", name=study.performances),
            facing=expand(f"{ROOT}/annotations/facing/{{name}}.npy", name=study.performances),
            contacts=expand(f"{ROOT}/annotations/contacts/{{take}}.json", take=study.takes),
            transcripts=expand(f"{ROOT}/annotations/transcripts/{{name}}.json", name=study.performances),
            code=code("pipeline.report.accuracy"),
        output:
            report(
                f"{ROOT}/results/accuracy.csv",
                caption="../workflow/report/accuracy.rst",
                category="Results",
                subcategory="Accuracy",
                labels={"file": "table (CSV)"},
            ),
        log:
            f"{ROOT}/logs/accuracy.log",
        benchmark:
            f"{ROOT}/timings/accuracy.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(800),
        params:
            reads=study.reads,
            shoot=input_folder("shoot"),
            truth=input_folder("truth", levels=2),
            dataset=input_folder("dataset"),
            annotations=input_folder("actions", levels=2),
        shell:
            "python -m pipeline.report.accuracy --shoot {params.shoot:q} --truth {params.truth:q}"
            " --dataset {params.dataset:q} --annotations {params.annotations:q} --out {output:q}"
            " > {log:q} 2>&1"

    rule accuracy_page:
        input:
            table=f"{ROOT}/results/accuracy.csv",
            code=code("pipeline.report.accuracy_page"),
        output:
            report(
                f"{ROOT}/results/report/accuracy.html",
                caption="../workflow/report/accuracy.rst",
                category="Results",
                subcategory="Accuracy",
                labels={"file": "page"},
            ),
        log:
            f"{ROOT}/logs/accuracy_page.log",
        benchmark:
            f"{ROOT}/timings/accuracy_page.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(300),
        params:
            reads=study.reads,
        shell:
            "python -m pipeline.report.accuracy_page --table {input.table:q} --out {output:q} > {log:q} 2>&1"
