# What models see and hear: per take, and per shard where a network has to be loaded for it.


rule features:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        wav=study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        code=code("pipeline.shards.features"),
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
        reads=study.reads,
        options=flags(study.config.features),
    shell:
        "python -m pipeline.shards.features --bvh {input.bvh:q} --wav {input.wav:q} --out {output:q} {params.options} > {log:q} 2>&1"


rule text:
    input:
        transcripts=study.of_shard(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        code=code("pipeline.shards.text"),
    output:
        f"{ROOT}/features/{{shard}}.text.h5",
    log:
        f"{ROOT}/logs/text/{{shard}}.log",
    benchmark:
        f"{ROOT}/timings/text/{{shard}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        reads=study.reads,
        takes=lambda wildcards: study.shards[wildcards.shard],
        options=flags(study.config.text),
    shell:
        "python -m pipeline.shards.text --transcripts {input.transcripts:q} --takes {params.takes} --out {output:q} {params.options} > {log:q} 2>&1"


# the sidecar of a shard, made of what the shard is made of and not of the shard: labels that change leave it as it is
rule speech:
    input:
        wav=study.of_shard(f"{study.dataset}/wav/{{performance}}.wav"),
        bvh=study.of_shard(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        weights=study.speech_weights,
        code=code("pipeline.shards.speech"),
    output:
        f"{study.speech_folder}/{{shard}}.h5",
    log:
        f"{ROOT}/logs/speech/{{shard}}.log",
    benchmark:
        f"{ROOT}/timings/speech/{{shard}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        reads=study.reads,
        takes=lambda wildcards: study.shards[wildcards.shard],
        options=flags(study.config.speech),
    shell:
        "python -m pipeline.shards.speech --wav {input.wav:q} --bvh {input.bvh:q} --takes {params.takes} --out {output:q} {params.options} > {log:q} 2>&1"
