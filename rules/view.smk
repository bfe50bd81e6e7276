# The viewer as static files, for any web server and from disk.

from pipeline.view import page

VIEWER = f"{ROOT}/results/viewer"
# what pages link to or carry; no code that Snakemake would find by imports
WEB = [f"pipeline/view/web/{name}" for name in page.FILES]


rule view_take:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        face=study.both(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        voices=study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        rigs=study.rigs,
        tables=[f"{study.dataset}/takes.tsv", *study.genders],
        about=[] if study.config.dataset else f"{study.dataset}/dataset.json",
        split=f"{ROOT}/annotations/split.tsv",
        actions=study.both(f"{ROOT}/annotations/actions/{{performance}}.npy"),
        facing=study.both(f"{ROOT}/annotations/facing/{{performance}}.npy"),
        transcripts=study.both(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        contacts=f"{ROOT}/annotations/contacts/{{take}}.json",
        quality=f"{ROOT}/annotations/quality/{{take}}.json",
        generated=study.all_generated_of,
        web=WEB,
        code=code("pipeline.view.take"),
    output:
        take_file=f"{VIEWER}/takes/{{take}}/take.json",
        glb=f"{VIEWER}/takes/{{take}}/scene.glb",
        voices=f"{VIEWER}/takes/{{take}}/voices.flac",
        page=f"{VIEWER}/{{take}}.html",
    log:
        f"{ROOT}/logs/view_take/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/view_take/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(2000),
    params:
        reads=study.reads,
        source=input_folder("split", levels=2),
        generated=study.row_folders_of,
        rigs=study.rig_source,
        out=subpath(output.page, parent=True),
    shell:
        "python -m pipeline.view.take {wildcards.take:q} --source {params.source:q} --rigs {params.rigs:q}"
        " --generated {params.generated:q} --out {params.out:q} > {log:q} 2>&1"


rule viewer:
    input:
        takes=expand(f"{VIEWER}/takes/{{take}}/take.json", take=study.shown_takes),
        web=WEB,
        code=code("pipeline.view.viewer"),
    output:
        index=f"{VIEWER}/index.html",
        web=[f"{VIEWER}/web/{name}" for name in page.FILES if name != "index.html"],
    log:
        f"{ROOT}/logs/viewer.log",
    benchmark:
        f"{ROOT}/timings/viewer.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(300),
    params:
        reads=study.reads,
        out=subpath(output.index, parent=True),
    shell:
        "python -m pipeline.view.viewer --takes {input.takes:q} --out {params.out:q} > {log:q} 2>&1"


rule film:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        face=study.both(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        voices=study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        rigs=study.rigs,
        takes=f"{study.dataset}/takes.tsv",
        transcripts=study.both(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        generated=study.generated_of,
        code=code("pipeline.view.film"),
    output:
        f"{ROOT}/results/films/{{take}}.mp4",
    log:
        f"{ROOT}/logs/film/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/film/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1500),
    params:
        reads=study.reads,
        source=input_folder("takes", levels=2),
        variants=lambda wildcards: (
            [
                "captured",
                *(
                    [study.shown_row.folder]
                    if wildcards.take in study.test_takes and study.shown_row
                    else []
                ),
            ]
        ),
        rigs=study.rig_source,
        out=subpath(output[0], parent=True),
    shell:
        "python -m pipeline.view.film {wildcards.take:q} --source {params.source:q} --rigs {params.rigs:q}"
        " --variants {params.variants:q} --out {params.out:q} > {log:q} 2>&1"


# captured beside the first sample of generated motion; needs the extra `films`, so it is no part of all
rule films:
    input:
        expand(f"{ROOT}/results/films/{{take}}.mp4", take=study.shown_takes),
