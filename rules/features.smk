# What models see and hear, per take.


rule features:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        wav=study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        code=code("pipeline.features"),
    output:
        f"{ROOT}/features/{{take}}.h5",
    log:
        f"{ROOT}/logs/features/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/features/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=800,
    params:
        options=flags(study.config.features),
    shell:
        "python -m pipeline.features --bvh {input.bvh:q} --wav {input.wav:q} --out {output:q} {params.options} > {log:q} 2>&1"


rule text:
    input:
        transcripts=study.both(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        code=code("pipeline.text"),
    output:
        f"{ROOT}/features/{{take}}.text.h5",
    log:
        f"{ROOT}/logs/text/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/text/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        options=flags(study.config.text),
    shell:
        "python -m pipeline.text --transcripts {input.transcripts:q} --out {output:q} {params.options} > {log:q} 2>&1"


rule speech:
    input:
        wav=study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        weights=study.speech_weights,
        code=code("pipeline.speech"),
    output:
        f"{ROOT}/features/{{take}}.speech.h5",
    log:
        f"{ROOT}/logs/speech/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/speech/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        options=flags(study.config.speech),
    shell:
        "python -m pipeline.speech --wav {input.wav:q} --bvh {input.bvh:q} --out {output:q} {params.options} > {log:q} 2>&1"
