# Training. Final weights are the outputs; checkpoints are not declared, because Snakemake deletes what it declares
# before a rerun: the trainer keeps them under a hash of config, data and model code and resumes what matches. How many threads
# compute is an option, since it changes the weights: `threads` here only schedules, and fewer --cores make it slower, not other.


rule train_face:
    input:
        shards=study.shard_files,
        speech=study.speech_files,
        code=code("models.train"),
    output:
        f"{ROOT}/runs/face/model.safetensors",
        f"{ROOT}/runs/face/model.json",
    log:
        f"{ROOT}/logs/train_face.log",
    benchmark:
        f"{ROOT}/timings/train_face.tsv"
    conda:
        "../environment.yml"
    threads: study.config.face_model.threads
    resources:
        mem_mb=3000,
    params:
        reads=study.reads,
        shards=input_folder("shards"),
        speech=study.speech_flag,
        run=subpath(output[0], parent=True),
        options=flags(study.config.face_model),
    shell:
        "python -m models.train face --shards {params.shards:q} {params.speech} --out {params.run:q} {params.options} > {log:q} 2>&1"


rule train_body_lower:
    input:
        shards=study.shard_files,
        code=code("models.train"),
    output:
        f"{ROOT}/runs/body_lower/model.safetensors",
        f"{ROOT}/runs/body_lower/model.json",
    log:
        f"{ROOT}/logs/train_body_lower.log",
    benchmark:
        f"{ROOT}/timings/train_body_lower.tsv"
    conda:
        "../environment.yml"
    threads: study.config.body_model.threads
    resources:
        mem_mb=3000,
    params:
        reads=study.reads,
        shards=input_folder("shards"),
        run=subpath(output[0], parent=True),
        options=flags(study.config.body_model),
    shell:
        "python -m models.train body_lower --shards {params.shards:q} --out {params.run:q} {params.options} > {log:q} 2>&1"


rule train_body_upper:
    input:
        shards=study.shard_files,
        code=code("models.train"),
    output:
        f"{ROOT}/runs/body_upper/model.safetensors",
        f"{ROOT}/runs/body_upper/model.json",
    log:
        f"{ROOT}/logs/train_body_upper.log",
    benchmark:
        f"{ROOT}/timings/train_body_upper.tsv"
    conda:
        "../environment.yml"
    threads: study.config.body_model.threads
    resources:
        mem_mb=3000,
    params:
        reads=study.reads,
        shards=input_folder("shards"),
        run=subpath(output[0], parent=True),
        options=flags(study.config.body_model),
    shell:
        "python -m models.train body_upper --shards {params.shards:q} --out {params.run:q} {params.options} > {log:q} 2>&1"


rule train_body:
    input:
        rules.train_body_lower.output,
        rules.train_body_upper.output,


rule train:
    input:
        rules.train_face.output,
        rules.train_body.input,
