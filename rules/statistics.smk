# Statistics of a dataset's motion: the same for a shoot and for a downloaded release.

# what stages read takes and genders from; a download may have no genders
TABLES = [f"{study.dataset}/takes.tsv", *study.genders]


rule face_variance:
    input:
        face=expand(f"{study.dataset}/face_arkit/{{name}}.npy", name=study.performances),
        facing=expand(f"{ROOT}/annotations/facing/{{name}}.npy", name=study.performances),
        rigs=[study.rig(actor) for actor in study.actors],
        tables=f"{study.dataset}/takes.tsv",
        code=code("pipeline.statistics.face_variance"),
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
        mem_mb=memory(800),
    params:
        reads=study.reads,
        dataset=input_folder("face", levels=2),
        annotations=input_folder("facing", levels=2),
        rigs=study.rig_source,
    shell:
        "python -m pipeline.statistics.face_variance --dataset {params.dataset:q}"
        " --annotations {params.annotations:q} --rigs {params.rigs:q} --out {output.table:q}"
        " --out-picture {output.picture:q} > {log:q} 2>&1"


rule dataset_row:
    input:
        bvh=expand(f"{study.dataset}/bvhs/{{name}}.bvh", name=study.performances),
        wav=expand(f"{study.dataset}/wav/{{name}}.wav", name=study.performances),
        face=expand(f"{study.dataset}/face_arkit/{{name}}.npy", name=study.performances),
        transcripts=expand(f"{ROOT}/annotations/transcripts/{{name}}.json", name=study.performances),
        tables=TABLES,
        code=code("pipeline.statistics.dataset_row"),
    output:
        table=report(
            f"{ROOT}/results/dataset_row.csv",
            caption="../workflow/report/dataset_row.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "dataset row (CSV)"},
        ),
    log:
        f"{ROOT}/logs/dataset_row.log",
    benchmark:
        f"{ROOT}/timings/dataset_row.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(200),
    params:
        reads=study.reads,
        dataset=input_folder("bvh", levels=2),
        transcripts=input_folder("transcripts"),
    shell:
        "python -m pipeline.statistics.dataset_row --dataset {params.dataset:q}"
        " --transcripts {params.transcripts:q} --out {output.table:q} > {log:q} 2>&1"


rule scenario_counts:
    input:
        bvh=expand(f"{study.dataset}/bvhs/{{name}}.bvh", name=study.performances),
        tables=TABLES,
        code=code("pipeline.statistics.scenario_counts"),
    output:
        table=report(
            f"{ROOT}/results/scenario_counts.csv",
            caption="../workflow/report/scenario_counts.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "scenario counts (CSV)"},
        ),
        picture=report(
            f"{ROOT}/results/report/scenario_counts.png",
            caption="../workflow/report/scenario_counts.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "scenario counts"},
        ),
    log:
        f"{ROOT}/logs/scenario_counts.log",
    benchmark:
        f"{ROOT}/timings/scenario_counts.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(400),
    params:
        reads=study.reads,
        dataset=input_folder("bvh", levels=2),
    shell:
        "python -m pipeline.statistics.scenario_counts --dataset {params.dataset:q} --out {output.table:q}"
        " --out-picture {output.picture:q} > {log:q} 2>&1"


rule spatial:
    input:
        bvh=expand(f"{study.dataset}/bvhs/{{name}}.bvh", name=study.performances),
        tables=TABLES,
        code=code("pipeline.statistics.spatial"),
    output:
        table=report(
            f"{ROOT}/results/spatial.csv",
            caption="../workflow/report/spatial.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "spatial (CSV)"},
        ),
        picture=report(
            f"{ROOT}/results/report/spatial.png",
            caption="../workflow/report/spatial.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "spatial"},
        ),
    log:
        f"{ROOT}/logs/spatial.log",
    benchmark:
        f"{ROOT}/timings/spatial.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(800),
    params:
        reads=study.reads,
        dataset=input_folder("bvh", levels=2),
    shell:
        "python -m pipeline.statistics.spatial --dataset {params.dataset:q} --out {output.table:q}"
        " --out-picture {output.picture:q} > {log:q} 2>&1"


rule body_entropy:
    input:
        bvh=expand(f"{study.dataset}/bvhs/{{name}}.bvh", name=study.performances),
        tables=TABLES,
        code=code("pipeline.statistics.body_entropy"),
    output:
        table=report(
            f"{ROOT}/results/body_entropy.csv",
            caption="../workflow/report/body_entropy.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "body entropy (CSV)"},
        ),
        joints=report(
            f"{ROOT}/results/body_entropy_joints.csv",
            caption="../workflow/report/body_entropy.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "joints of body entropy (CSV)"},
        ),
        picture=report(
            f"{ROOT}/results/report/body_entropy.png",
            caption="../workflow/report/body_entropy.rst",
            category="Results",
            subcategory="Statistics",
            labels={"file": "body entropy"},
        ),
    log:
        f"{ROOT}/logs/body_entropy.log",
    benchmark:
        f"{ROOT}/timings/body_entropy.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(800),
    params:
        reads=study.reads,
        dataset=input_folder("bvh", levels=2),
    shell:
        "python -m pipeline.statistics.body_entropy --dataset {params.dataset:q} --out {output.table:q}"
        " --out-joints {output.joints:q} --out-picture {output.picture:q} > {log:q} 2>&1"


rule contact_table:
    input:
        contacts=expand(f"{ROOT}/annotations/contacts/{{name}}.json", name=study.takes),
        tables=TABLES,
        code=code("pipeline.statistics.contact_table"),
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
        mem_mb=memory(200),
    params:
        reads=study.reads,
        dataset=input_folder("tables"),
        contacts=input_folder("contacts"),
    shell:
        "python -m pipeline.statistics.contact_table --dataset {params.dataset:q}"
        " --contacts {params.contacts:q} --out {output:q} > {log:q} 2>&1"
