# What models see and hear, per take.


rule features:
    input:
        bvh=lambda wildcards: study.dataset_files(wildcards.take, "bvhs", "bvh"),
        wav=lambda wildcards: study.dataset_files(wildcards.take, "wav", "wav"),
        code=code("pipeline.features"),
    output:
        f"{ROOT}/features/{{take}}.h5",
    params:
        options=flags(study.config.features),
    log:
        f"{ROOT}/logs/features/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/features/{{take}}.tsv"
    threads: 1
    resources:
        mem_mb=800,
    shell:
        "python -m pipeline.features --bvh {input.bvh:q} --wav {input.wav:q} --out {output:q} {params.options} > {log:q} 2>&1"


rule text:
    input:
        transcripts=lambda wildcards: [f"{ROOT}/annotations/transcripts/{name}.json" for name in study.takes[wildcards.take].performances],
        code=code("pipeline.text"),
    output:
        f"{ROOT}/features/{{take}}.text.h5",
    params:
        options=flags(study.config.text),
    log:
        f"{ROOT}/logs/text/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/text/{{take}}.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    shell:
        "python -m pipeline.text --transcripts {input.transcripts:q} --out {output:q} {params.options} > {log:q} 2>&1"
