# Labels, transcripts, split and quality of a dataset: the same for a shoot and for a downloaded release.


rule actions:
    input:
        bvh=f"{study.dataset}/bvhs/{{performance}}.bvh",
        code=code("pipeline.annotate.actions"),
    output:
        f"{ROOT}/annotations/actions/{{performance}}.npy",
    log:
        f"{ROOT}/logs/actions/{{performance}}.log",
    benchmark:
        f"{ROOT}/timings/actions/{{performance}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(600),
    params:
        reads=study.reads,
        options=flags(study.config.actions),
    shell:
        "python -m pipeline.annotate.actions --bvh {input.bvh:q} --out {output:q} --up y"
        " {params.options} > {log:q} 2>&1"


rule facing:
    input:
        bvh=study.own_and_partner(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        code=code("pipeline.annotate.facing"),
    output:
        f"{ROOT}/annotations/facing/{{performance}}.npy",
    log:
        f"{ROOT}/logs/facing/{{performance}}.log",
    benchmark:
        f"{ROOT}/timings/facing/{{performance}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(600),
    params:
        reads=study.reads,
        options=flags(study.config.facing),
    shell:
        "python -m pipeline.annotate.facing --bvh {input.bvh:q} --out {output:q} --up y"
        " {params.options} > {log:q} 2>&1"


rule contacts:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        code=code("pipeline.annotate.contacts"),
    output:
        f"{ROOT}/annotations/contacts/{{take}}.json",
    log:
        f"{ROOT}/logs/contacts/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/contacts/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(800),
    params:
        reads=study.reads,
        options=flags(study.config.contacts),
    shell:
        "python -m pipeline.annotate.contacts --bvh {input.bvh:q} --out {output:q} --up y"
        " {params.options} > {log:q} 2>&1"


rule transcripts:
    input:
        wav=study.own_and_partner(f"{study.dataset}/wav/{{performance}}.wav"),
        text=f"{study.config.transcripts.text}/{{performance}}.txt" if study.config.transcripts.text else [],
        code=code("pipeline.annotate.transcripts"),
    output:
        f"{ROOT}/annotations/transcripts/{{performance}}.json",
    log:
        f"{ROOT}/logs/transcripts/{{performance}}.log",
    benchmark:
        f"{ROOT}/timings/transcripts/{{performance}}.tsv"
    priority: 1
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1500),
    params:
        reads=study.reads,
        options=flags(study.config.transcripts),
    shell:
        "python -m pipeline.annotate.transcripts --wav {input.wav:q} --out {output:q}"
        " {params.options} > {log:q} 2>&1"


rule dialogue:
    input:
        transcripts=study.both(f"{ROOT}/annotations/transcripts/{{performance}}.json"),
        code=code("pipeline.annotate.dialogue"),
    output:
        f"{ROOT}/annotations/dialogue/{{take}}.json",
    log:
        f"{ROOT}/logs/dialogue/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/dialogue/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(200),
    params:
        reads=study.reads,
        options=flags(study.config.dialogue),
    shell:
        "python -m pipeline.annotate.dialogue --transcripts {input.transcripts:q} --out {output:q}"
        " {params.options} > {log:q} 2>&1"


rule sync_check:
    input:
        face=study.both(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        wav=study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        code=code("pipeline.annotate.sync_check"),
    output:
        f"{ROOT}/annotations/sync_check/{{take}}.json",
    log:
        f"{ROOT}/logs/sync_check/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/sync_check/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(800),
    params:
        reads=study.reads,
        options=flags(study.config.sync_check),
    shell:
        "python -m pipeline.annotate.sync_check --face {input.face:q} --wav {input.wav:q} --out {output:q}"
        " {params.options} > {log:q} 2>&1"


rule quality:
    input:
        bvh=study.both(f"{study.dataset}/bvhs/{{performance}}.bvh"),
        face=study.both(f"{study.dataset}/face_arkit/{{performance}}.npy"),
        wav=study.both(f"{study.dataset}/wav/{{performance}}.wav"),
        parts=study.capture_reports,
        sync_check=f"{ROOT}/annotations/sync_check/{{take}}.json",
        code=code("pipeline.annotate.quality"),
    output:
        f"{ROOT}/annotations/quality/{{take}}.json",
    log:
        f"{ROOT}/logs/quality/{{take}}.log",
    benchmark:
        f"{ROOT}/timings/quality/{{take}}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(600),
    params:
        reads=study.reads,
    shell:
        "python -m pipeline.annotate.quality --bvh {input.bvh:q} --face {input.face:q} --wav {input.wav:q}"
        " --parts {input.parts:q} {input.sync_check:q} --out {output:q} > {log:q} 2>&1"


# split.tsv is updated, never deleted: what it once said of a take stays
rule split:
    input:
        takes=study.takes_table,
        code=code("pipeline.annotate.split"),
    output:
        update(f"{ROOT}/annotations/split.tsv"),
    log:
        f"{ROOT}/logs/split.log",
    benchmark:
        f"{ROOT}/timings/split.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(200),
    params:
        reads=study.reads,
        seed=study.config.seed,
        options=flags(study.config.split),
    shell:
        "python -m pipeline.annotate.split --takes {input.takes:q} --seed {params.seed} --out {output:q}"
        " {params.options} > {log:q} 2>&1"
