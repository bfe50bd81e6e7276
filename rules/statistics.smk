# Statistics of a dataset's motion: the same for a shoot and for a downloaded release.


rule face_variance:
    input:
        face=expand(f"{study.dataset}/face_arkit/{{name}}.npy", name=study.performances),
        facing=expand(f"{ROOT}/annotations/facing/{{name}}.npy", name=study.performances),
        rigs=[study.rig(actor) for actor in study.actors],
        # what the stage reads takes from; a download may have either, or none
        tables=(
            [name for name in expand(f"{study.dataset}/{{name}}", name=["takes.tsv", "scenarios.db"]) if os.path.exists(name)]
            if study.config.dataset
            else f"{ROOT}/dataset/takes.tsv"
        ),
        code=code("pipeline.face_variance"),
    output:
        table=report(
            f"{ROOT}/results/face_variance.csv",
            caption="../workflow/report/face_variance.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "face variance (CSV)"},
        ),
        picture=report(
            f"{ROOT}/results/report/face_variance.png",
            caption="../workflow/report/face_variance.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "face variance"},
        ),
    log:
        f"{ROOT}/logs/face_variance.log",
    benchmark:
        f"{ROOT}/timings/face_variance.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=800,
    params:
        dataset=input_folder("face", levels=2),
        annotations=input_folder("facing", levels=2),
        rigs=study.rig_source,
    shell:
        "python -m pipeline.face_variance --dataset {params.dataset:q} --annotations {params.annotations:q} --rigs {params.rigs:q} --out {output.table:q} --out-picture {output.picture:q} > {log:q} 2>&1"


rule contact_table:
    input:
        contacts=expand(f"{ROOT}/annotations/contacts/{{name}}.json", name=study.takes),
        # what the stage reads takes and genders from; a download may have any of them, or none
        tables=(
            [name for name in expand(f"{study.dataset}/{{name}}", name=["takes.tsv", "scenarios.db", "actors.db"]) if os.path.exists(name)]
            if study.config.dataset
            else expand(f"{ROOT}/dataset/{{name}}", name=["takes.tsv", "actors.db"])
        ),
        code=code("pipeline.contact_table"),
    output:
        report(
            f"{ROOT}/results/contacts.csv",
            caption="../workflow/report/contact_table.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "contacts (CSV)"},
        ),
    log:
        f"{ROOT}/logs/contact_table.log",
    benchmark:
        f"{ROOT}/timings/contact_table.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=200,
    params:
        dataset=lambda wildcards: study.dataset,  # a bare download has no table to tell it by
        contacts=input_folder("contacts"),
    shell:
        "python -m pipeline.contact_table --dataset {params.dataset:q} --contacts {params.contacts:q} --out {output:q} > {log:q} 2>&1"
