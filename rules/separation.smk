# The network of separation method `lips`, trained on the shoot's own microphones and faces: before separation, not after.
# As in train.smk, checkpoints are not declared.


if not study.config.dataset:

    rule train_separation:
        input:
            wav=[study.raw_file(name, "wav") for name in study.performances],
            face=expand(f"{ROOT}/dataset/face_arkit/{{performance}}.npy", performance=study.performances),
            sync=expand(f"{ROOT}/annotations/sync/{{take}}.json", take=study.takes),
            code=code("pipeline.capture.train_separation"),
        output:
            f"{ROOT}/runs/separation/model.safetensors",
            f"{ROOT}/runs/separation/model.json",
        log:
            f"{ROOT}/logs/train_separation.log",
        benchmark:
            f"{ROOT}/timings/train_separation.tsv"
        conda:
            "../environment.yml"
        threads: study.config.separation_model.threads
        resources:
            mem_mb=3000,
        params:
            reads=study.reads,
            run=subpath(output[0], parent=True),
            options=flags(study.config.separation_model),
        shell:
            "python -m pipeline.capture.train_separation --wav {input.wav:q} --face {input.face:q} --sync {input.sync:q} --out {params.run:q} {params.options} > {log:q} 2>&1"
