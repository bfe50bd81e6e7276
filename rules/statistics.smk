# Statistics of a dataset's motion: the same for a shoot and for a downloaded release.


rule face_variance:
    input:
        face=expand(f"{study.dataset}/face_arkit/{{name}}.npy", name=study.performances),
        facing=expand(f"{ROOT}/annotations/facing/{{name}}.npy", name=study.performances),
        rigs=[study.rig(actor) for actor in study.actors],
        tables=f"{study.dataset}/takes.tsv",
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
