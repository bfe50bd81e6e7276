# The public release: a download's streams brought to the dataset's clock, and a release made of a shoot's
# dataset.


if study.config.dataset:

    rule ingest:
        input:
            bvh=study.download("bvh"),
            face=study.download("face"),
            wav=study.download("wav"),
            code=code("pipeline.release.ingest"),
        output:
            bvh=f"{ROOT}/dataset/bvhs/{{performance}}.bvh",
            face=f"{ROOT}/dataset/face_arkit/{{performance}}.npy",
            wav=f"{ROOT}/dataset/wav/{{performance}}.wav",
            report=f"{ROOT}/annotations/release_in/{{performance}}.json",
        log:
            f"{ROOT}/logs/ingest/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/ingest/{{performance}}.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(800),
        params:
            reads=study.reads,
            options=flags(study.config.release_in),
        shell:
            "python -m pipeline.release.ingest --bvh {input.bvh:q} --face {input.face:q} --wav {input.wav:q}"
            " --out-bvh {output.bvh:q} --out-face {output.face:q} --out-wav {output.wav:q}"
            " --out-report {output.report:q} {params.options} > {log:q} 2>&1"

    rule release_takes:
        input:
            tables=[
                name
                for name in expand(f"{study.config.dataset}/{{name}}", name=["takes.tsv", "scenarios.db"])
                if os.path.exists(name)
            ],
            genders=f"{study.config.dataset}/actors.db" if study.genders else [],
            code=code("pipeline.release.takes"),
        output:
            takes=f"{ROOT}/dataset/takes.tsv",
            genders=study.genders,
        log:
            f"{ROOT}/logs/release_takes.log",
        benchmark:
            f"{ROOT}/timings/release_takes.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(200),
        params:
            reads=study.reads,
            dataset=lambda wildcards: study.config.dataset,
            takes=list(study.takes),
            exclude=[f"--exclude={name}" for name in study.excluded(lips=False)],
            reports=f"{ROOT}/annotations",
        shell:
            "python -m pipeline.release.takes --dataset {params.dataset:q} --takes {params.takes}"
            " {params.exclude:q} --reports {params.reports:q} --actors {input.genders:q}"
            " --out {output.takes:q} --out-actors {output.genders:q} > {log:q} 2>&1"

    if study.lip_acc:

        rule release_lip:
            input:
                face=study.lip_download("face"),
                wav=study.lip_download("wav"),
                code=code("pipeline.release.lip"),
            output:
                face=f"{ROOT}/dataset/lip_acc/face_arkit/{{performance}}.npy",
                wav=f"{ROOT}/dataset/lip_acc/wav/{{performance}}.wav",
                report=f"{ROOT}/annotations/lip_acc/release_in/{{performance}}.json",
            log:
                f"{ROOT}/logs/release_lip/{{performance}}.log",
            benchmark:
                f"{ROOT}/timings/release_lip/{{performance}}.tsv"
            conda:
                "../environment.yml"
            threads: 1
            resources:
                mem_mb=memory(400),
            params:
                reads=study.reads,
                options=flags(study.config.release_in),
            shell:
                "python -m pipeline.release.lip --face {input.face:q} --wav {input.wav:q}"
                " --out-face {output.face:q} --out-wav {output.wav:q} --out-report {output.report:q}"
                " {params.options} > {log:q} 2>&1"

    if study.templates:

        rule release_rig:
            input:
                rig=study.config.rig,
                template=f"{study.config.dataset}/face_ict_templates/{{actor}}.obj",
                code=code("pipeline.release.rig"),
            output:
                f"{ROOT}/dataset/rigs/{{actor}}.npz",
            log:
                f"{ROOT}/logs/release_rig/{{actor}}.log",
            benchmark:
                f"{ROOT}/timings/release_rig/{{actor}}.tsv"
            conda:
                "../environment.yml"
            threads: 1
            resources:
                mem_mb=memory(800),
            params:
                reads=study.reads,
            shell:
                "python -m pipeline.release.rig --rig {input.rig:q} --template {input.template:q}"
                " --out {output:q} > {log:q} 2>&1"

else:

    rule release:
        input:
            dataset=rules.dataset.output,
            streams=rules.dataset.input.bvh + rules.dataset.input.face + rules.dataset.input.wav,
            lips=(
                rules.lip_acc.output + rules.lip_acc.input.face + rules.lip_acc.input.wav
                if study.lip_acc
                else []
            ),
            split=f"{ROOT}/annotations/split.tsv",
            consent=[name for name in [f"{study.shoot}/CONSENT.md"] if os.path.exists(name)],
            code=code("pipeline.release.write"),
        output:
            f"{ROOT}/release/README.md",
            f"{ROOT}/release/SHA256SUMS",
        log:
            f"{ROOT}/logs/release.log",
        benchmark:
            f"{ROOT}/timings/release.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(800),
        params:
            reads=study.reads,
            dataset=input_folder("dataset"),
            out=subpath(output[0], parent=True),
            consent=lambda wildcards, input: ["--consent", *input.consent] if input.consent else [],
            options=flags(study.config.release_in),
        shell:
            "python -m pipeline.release.write --dataset {params.dataset:q} --split {input.split:q}"
            " {params.consent:q} --out {params.out:q} {params.options} > {log:q} 2>&1"
