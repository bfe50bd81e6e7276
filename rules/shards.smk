# What models read: features per take, words and a frozen encoder's features per shard, and HDF5 shards of
# whole takes end to end, by a plan that never changes for takes that it knows.


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
        mem_mb=memory(800),
    params:
        reads=study.reads,
        options=flags(study.config.features),
    shell:
        "python -m pipeline.shards.features --bvh {input.bvh:q} --wav {input.wav:q} --out {output:q}"
        " {params.options} > {log:q} 2>&1"


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
        mem_mb=memory(1500),
    params:
        reads=study.reads,
        takes=lambda wildcards: study.shards[wildcards.shard],
        options=flags(study.config.text),
    shell:
        "python -m pipeline.shards.text --transcripts {input.transcripts:q} --takes {params.takes}"
        " --out {output:q} {params.options} > {log:q} 2>&1"


# the sidecar of a shard, made of what the shard is made of and not of the shard: labels that change leave it
# as it is
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
    priority: 1
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1500),
    params:
        reads=study.reads,
        takes=lambda wildcards: study.shards[wildcards.shard],
        options=flags(study.config.speech),
    shell:
        "python -m pipeline.shards.speech --wav {input.wav:q} --bvh {input.bvh:q} --takes {params.takes}"
        " --out {output:q} {params.options} > {log:q} 2>&1"


# plan.json is updated, never deleted: a shard keeps its takes, new takes make new shards
rule shards_plan:
    input:
        takes=study.takes_table,
        code=code("pipeline.shards.plan"),
    output:
        update(f"{ROOT}/shards/plan.json"),
    log:
        f"{ROOT}/logs/shards_plan.log",
    benchmark:
        f"{ROOT}/timings/shards_plan.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(200),
    params:
        reads=study.reads,
        options=flags(study.config.shards),
    shell:
        "python -m pipeline.shards.plan --table {input.takes:q} --out {output:q}"
        " {params.options} > {log:q} 2>&1"


rule shards_build:
    input:
        face=study.of_shard(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        actions=study.of_shard(f"{ROOT}/annotations/actions/{{performance}}.npy"),
        facing=study.of_shard(f"{ROOT}/annotations/facing/{{performance}}.npy"),
        quality=study.of_shard(f"{ROOT}/annotations/quality/{{take}}.json"),
        features=study.of_shard(f"{ROOT}/features/{{take}}.h5"),
        text=f"{ROOT}/features/{{shard}}.text.h5",
        # what is read of it, who acts in which take, is in the names of the files above
        dataset=ancient(f"{study.dataset}/takes.tsv"),
        code=code("pipeline.shards.build"),
    output:
        f"{ROOT}/shards/{{shard}}.h5",
    log:
        f"{ROOT}/logs/shards_build/{{shard}}.log",
    benchmark:
        f"{ROOT}/timings/shards_build/{{shard}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
    params:
        reads=study.reads,
        dataset=input_folder("face", levels=2),
        annotations=input_folder("actions", levels=2),
        features=input_folder("features"),
        takes=lambda wildcards: study.shards[wildcards.shard],
        splits=lambda wildcards: [study.split[name] for name in study.shards[wildcards.shard]],
        options=flags(study.config.shards),
    shell:
        "python -m pipeline.shards.build --dataset {params.dataset:q} --annotations {params.annotations:q}"
        " --features {params.features:q} --text {input.text:q} --takes {params.takes}"
        " --splits {params.splits} --out {output:q} {params.options} > {log:q} 2>&1"


# takes' labels stand here and in no shard: what models learn from does not change with them
rule shards_index:
    input:
        shards=expand(f"{ROOT}/shards/{{shard}}.h5", shard=study.shards),
        dataset=f"{study.dataset}/takes.tsv",
        code=code("pipeline.shards.index"),
    output:
        f"{ROOT}/shards/index.parquet",
    log:
        f"{ROOT}/logs/shards_index.log",
    benchmark:
        f"{ROOT}/timings/shards_index.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(800),
    params:
        reads=study.reads,
        dataset=input_folder("dataset"),
    shell:
        "python -m pipeline.shards.index --shards {input.shards:q} --dataset {params.dataset:q}"
        " --index {output:q} > {log:q} 2>&1"


rule shards_stats:
    input:
        shards=expand(f"{ROOT}/shards/{{shard}}.h5", shard=study.shards),
        code=code("pipeline.shards.stats"),
    output:
        f"{ROOT}/shards/stats.json",
    log:
        f"{ROOT}/logs/shards_stats.log",
    benchmark:
        f"{ROOT}/timings/shards_stats.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(800),
    params:
        reads=study.reads,
    shell:
        "python -m pipeline.shards.stats --shards {input.shards:q} --out {output:q} > {log:q} 2>&1"


rule speech_stats:
    input:
        shards=expand(f"{ROOT}/shards/{{shard}}.h5", shard=study.shards),
        sidecars=expand(f"{study.speech_folder}/{{shard}}.h5", shard=study.shards),
        code=code("pipeline.shards.speech_stats"),
    output:
        f"{study.speech_folder}/stats.json",
    log:
        f"{ROOT}/logs/speech_stats.log",
    benchmark:
        f"{ROOT}/timings/speech_stats.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(600),
    params:
        reads=study.reads,
    shell:
        "python -m pipeline.shards.speech_stats --shards {input.shards:q} --sidecars {input.sidecars:q}"
        " --out {output:q} > {log:q} 2>&1"


# the lip-accurate set as a shard of its own, its speech out of the shard, and their moments
if study.lip_acc:

    rule shards_lips:
        input:
            face=expand(f"{study.dataset}/lip_acc/face_arkit/{{performance}}.npy", performance=study.lip_acc),
            wav=expand(f"{study.dataset}/lip_acc/wav/{{performance}}.wav", performance=study.lip_acc),
            code=code("pipeline.shards.lips"),
        output:
            f"{ROOT}/lip_shards/shard-000.h5",
        log:
            f"{ROOT}/logs/shards_lips.log",
        benchmark:
            f"{ROOT}/timings/shards_lips.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(1000),
        params:
            reads=study.reads,
            dataset=input_folder("face", levels=3),
            performances=list(study.lip_acc),
            options=flags(study.config.features),
        shell:
            "python -m pipeline.shards.lips --dataset {params.dataset:q} --performances {params.performances}"
            " --out {output:q} {params.options} > {log:q} 2>&1"

    rule lip_speech:
        input:
            shard=f"{ROOT}/lip_shards/shard-000.h5",
            weights=study.speech_weights,
            code=code("pipeline.shards.speech"),
        output:
            f"{study.lip_speech_folder}/shard-000.h5",
        log:
            f"{ROOT}/logs/lip_speech.log",
        benchmark:
            f"{ROOT}/timings/lip_speech.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(1500),
        params:
            reads=study.reads,
            options=flags(study.config.speech),
        shell:
            "python -m pipeline.shards.speech --shard {input.shard:q} --out {output:q} {params.options}"
            " > {log:q} 2>&1"

    use rule shards_stats as lip_shards_stats with:
        input:
            shards=f"{ROOT}/lip_shards/shard-000.h5",
            code=code("pipeline.shards.stats"),
        output:
            f"{ROOT}/lip_shards/stats.json",
        log:
            f"{ROOT}/logs/lip_shards_stats.log",
        benchmark:
            f"{ROOT}/timings/lip_shards_stats.tsv"

    use rule speech_stats as lip_speech_stats with:
        input:
            shards=f"{ROOT}/lip_shards/shard-000.h5",
            sidecars=f"{study.lip_speech_folder}/shard-000.h5",
            code=code("pipeline.shards.speech_stats"),
        output:
            f"{study.lip_speech_folder}/stats.json",
        log:
            f"{ROOT}/logs/lip_speech_stats.log",
        benchmark:
            f"{ROOT}/timings/lip_speech_stats.tsv"
