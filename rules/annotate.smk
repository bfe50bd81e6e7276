# Labels, transcripts, split and quality of a dataset: the same for a shoot and for a downloaded release.


rule actions:
    input:
        bvh=f"{study.dataset}/bvhs/{{performance}}.bvh",
        code=code("pipeline.actions"),
    output:
        f"{ROOT}/annotations/actions/{{performance}}.npy",
    params:
        options=flags(study.config.actions),
    log:
        f"{ROOT}/logs/actions/{{performance}}.log",
    benchmark:
        f"{ROOT}/timings/actions/{{performance}}.tsv"
    threads: 1
    resources:
        mem_mb=600,
    shell:
        "python -m pipeline.actions --bvh {input.bvh:q} --out {output:q} {params.options} > {log:q} 2>&1"


rule facing:
    input:
        bvh=lambda wildcards: [f"{study.dataset}/bvhs/{name}.bvh" for name in (wildcards.performance, study.partner(wildcards.performance))],
        code=code("pipeline.facing"),
    output:
        f"{ROOT}/annotations/facing/{{performance}}.npy",
    params:
        options=flags(study.config.facing),
    log:
        f"{ROOT}/logs/facing/{{performance}}.log",
    benchmark:
        f"{ROOT}/timings/facing/{{performance}}.tsv"
    threads: 1
    resources:
        mem_mb=600,
    shell:
        "python -m pipeline.facing --bvh {input.bvh:q} --out {output:q} {params.options} > {log:q} 2>&1"


rule transcripts:
    input:
        wav=lambda wildcards: [f"{study.dataset}/wav/{name}.wav" for name in (wildcards.performance, study.partner(wildcards.performance))],
        code=code("pipeline.transcripts"),
    output:
        f"{ROOT}/annotations/transcripts/{{performance}}.json",
    params:
        options=flags(study.config.transcripts),
    log:
        f"{ROOT}/logs/transcripts/{{performance}}.log",
    benchmark:
        f"{ROOT}/timings/transcripts/{{performance}}.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    shell:
        "python -m pipeline.transcripts --wav {input.wav:q} --out {output:q} {params.options} > {log:q} 2>&1"


rule quality:
    input:
        bvh=lambda wildcards: study.dataset_files(wildcards.take, "bvhs", "bvh"),
        face=lambda wildcards: study.dataset_files(wildcards.take, "face_arkit", "npy"),
        wav=lambda wildcards: study.dataset_files(wildcards.take, "wav", "wav"),
        parts=lambda wildcards: study.capture_reports(wildcards.take),
        code=code("pipeline.quality"),
    output:
        f"{ROOT}/annotations/quality/{{take}}.json",
    log:
        f"{ROOT}/logs/quality/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/quality/{{take}}.tsv"
    threads: 1
    resources:
        mem_mb=400,
    shell:
        "python -m pipeline.quality --bvh {input.bvh:q} --face {input.face:q} --wav {input.wav:q} --parts {input.parts:q} --out {output:q} > {log:q} 2>&1"


# split.tsv is updated, never deleted: what it once said of a take stays
rule split:
    input:
        takes=[] if study.simulated else (f"{study.shoot}/takes.tsv" if not study.config.dataset else []),
        code=code("pipeline.split"),
    output:
        update(f"{ROOT}/annotations/split.tsv"),
    params:
        split=[f"{name}={split}" for name, split in study.split.items()],
    log:
        f"{ROOT}/logs/split.log",
    benchmark:
        f"{ROOT}/timings/split.tsv"
    threads: 1
    resources:
        mem_mb=200,
    shell:
        "python -m pipeline.split --assigned {params.split} --out {output:q} > {log:q} 2>&1"
