# The lip-accurate set of a shoot or download that has one: one actor reads sentences alone, each through the stages of a take.


if study.lip_acc and study.config.dataset:

    rule lip_in:
        input:
            face=study.lip_download("face"),
            wav=study.lip_download("wav"),
            code=code("pipeline.release.lip"),
        output:
            face=f"{ROOT}/dataset/lip_acc/face_arkit/{{performance}}.npy",
            wav=f"{ROOT}/dataset/lip_acc/wav/{{performance}}.wav",
            report=f"{ROOT}/annotations/lip_acc/release_in/{{performance}}.json",
        log:
            f"{ROOT}/logs/lip_in/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/lip_in/{{performance}}.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=400,
        params:
            reads=study.reads,
            options=flags(study.config.release_in),
        shell:
            "python -m pipeline.release.lip --face {input.face:q} --wav {input.wav:q} --out-face {output.face:q} --out-wav {output.wav:q} --out-report {output.report:q} {params.options} > {log:q} 2>&1"

    rule lip_acc:
        input:
            sentences=f"{study.config.dataset}/lip_acc/lip_acc_sentences.txt",
            face=expand(f"{ROOT}/dataset/lip_acc/face_arkit/{{performance}}.npy", performance=study.lip_acc),
            wav=expand(f"{ROOT}/dataset/lip_acc/wav/{{performance}}.wav", performance=study.lip_acc),
            code=code("pipeline.capture.lip_acc"),
        output:
            f"{ROOT}/dataset/lip_acc/lip_acc_sentences.txt",
        log:
            f"{ROOT}/logs/lip_acc.log",
        benchmark:
            f"{ROOT}/timings/lip_acc.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=200,
        params:
            reads=study.reads,
            download=input_folder("sentences", levels=2),
            exclude=[f"--exclude={name}" for name in study.excluded(lips=True)],
            reports=f"{ROOT}/annotations/lip_acc",
            out=subpath(output[0], parent=True),
        shell:
            "python -m pipeline.capture.lip_acc --download {params.download:q} {params.exclude:q} --reports {params.reports:q} --out {params.out:q} > {log:q} 2>&1"

elif study.lip_acc:

    use rule sync as lip_sync with:
        input:
            timecode=study.lip_raw("timecode"),
            bvh=[],
            face=study.lip_raw("face"),
            beside=study.lip_raw("beside"),
            wav=study.lip_raw("wav"),
            ltc=study.lip_raw("ltc"),
            rig=study.shoot_rigs if study.config.sync.without_timecode == "voice" else [],
            code=code("pipeline.capture.sync"),
        output:
            f"{ROOT}/annotations/lip_acc/sync/{{performance}}.json",
        log:
            f"{ROOT}/logs/lip_sync/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/lip_sync/{{performance}}.tsv"
        params:
            actors=lambda wildcards: study.lip_acc[wildcards.performance].actor,

    use rule blendshapes as lip_blendshapes with:
        input:
            face=study.lip_raw("face"),
            beside=study.lip_raw("beside"),
            rig=study.shoot_rigs,
            sync=f"{ROOT}/annotations/lip_acc/sync/{{performance}}.json",
            code=code("pipeline.capture.blendshapes"),
        output:
            weights=f"{ROOT}/dataset/lip_acc/face_arkit/{{performance}}.npy",
            pose=f"{ROOT}/annotations/lip_acc/head_pose/{{performance}}.npy",
            report=f"{ROOT}/annotations/lip_acc/fit/{{performance}}.json",
        log:
            f"{ROOT}/logs/lip_blendshapes/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/lip_blendshapes/{{performance}}.tsv"

    use rule separation as lip_separation with:
        input:
            wav=study.lip_raw("wav"),
            sync=f"{ROOT}/annotations/lip_acc/sync/{{performance}}.json",
            face=[],
            mouth=[],
            picture=[],
            code=code("pipeline.capture.separation"),
        output:
            wav=f"{ROOT}/dataset/lip_acc/wav/{{performance}}.wav",
            report=f"{ROOT}/annotations/lip_acc/separation/{{performance}}.json",
        log:
            f"{ROOT}/logs/lip_separation/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/lip_separation/{{performance}}.tsv"

    rule lip_acc:
        input:
            tables=expand(f"{study.shoot}/{{name}}.tsv", name=["actors", "lip_acc/lip_acc"]),
            face=expand(f"{ROOT}/dataset/lip_acc/face_arkit/{{performance}}.npy", performance=study.lip_acc),
            wav=expand(f"{ROOT}/dataset/lip_acc/wav/{{performance}}.wav", performance=study.lip_acc),
            rigs=expand(
                f"{study.shoot}/rigs/{{actor}}.npz",
                actor=sorted({row.actor for row in study.lip_acc.values()}),
            ),
            code=code("pipeline.capture.lip_acc"),
        output:
            f"{ROOT}/dataset/lip_acc/lip_acc_sentences.txt",
            expand(
                f"{ROOT}/dataset/lip_acc/face_ict/{{performance}}.npy",
                performance=study.with_ict(study.lip_acc),
            ),
        log:
            f"{ROOT}/logs/lip_acc.log",
        benchmark:
            f"{ROOT}/timings/lip_acc.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=200,
        params:
            reads=study.reads,
            shoot=input_folder("tables"),
            reports=f"{ROOT}/annotations/lip_acc",
            out=subpath(output[0], parent=True),
        shell:
            "python -m pipeline.capture.lip_acc --shoot {params.shoot:q} --reports {params.reports:q} --out {params.out:q} > {log:q} 2>&1"
