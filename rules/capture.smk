# From raw streams to the dataset: for a shoot, simulated or real, and the lip-accurate set of a download.


if not study.config.dataset:

    rule sync:
        input:
            timecode=f"{study.shoot}/{{take}}/timecode.json",
            bvh=study.raw("bvh"),
            face=study.raw("face"),
            beside=study.beside_face,
            wav=study.raw("wav"),
            ltc=study.ltc,
            rig=study.shoot_rigs if study.config.sync.without_timecode == "voice" else [],
            code=code("pipeline.capture.sync"),
        output:
            f"{ROOT}/annotations/sync/{{take}}.json",
        log:
            f"{ROOT}/logs/sync/{{take}}.log",
        benchmark:
            f"{ROOT}/timings/sync/{{take}}.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(400),
        params:
            reads=study.reads,
            actors=lambda wildcards: study.takes[wildcards.take].actors,
            options=flags(study.config.sync),
        shell:
            "python -m pipeline.capture.sync --timecode {input.timecode:q} --actors {params.actors}"
            " --bvh {input.bvh:q} --face {input.face:q} --wav {input.wav:q} --rig {input.rig:q}"
            " --out {output:q} {params.options} > {log:q} 2>&1"

    rule body:
        input:
            bvh=study.own_raw("bvh"),
            sync=study.of_take(f"{ROOT}/annotations/sync/{{take}}.json"),
            joint_map=study.joint_map,
            code=code("pipeline.capture.body"),
        output:
            bvh=f"{ROOT}/dataset/bvhs/{{performance}}.bvh",
            report=f"{ROOT}/annotations/body/{{performance}}.json",
        log:
            f"{ROOT}/logs/body/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/body/{{performance}}.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(1200),
        params:
            reads=study.reads,
            options=flags(study.config.body),
        shell:
            "python -m pipeline.capture.body --bvh {input.bvh:q} --sync {input.sync:q}"
            " --performance {wildcards.performance} --out {output.bvh:q} --out-report {output.report:q}"
            " {params.options} > {log:q} 2>&1"

    rule blendshapes:
        input:
            face=study.own_raw("face"),
            beside=study.beside_face,
            rig=study.shoot_rigs,
            sync=study.of_take(f"{ROOT}/annotations/sync/{{take}}.json"),
            code=code("pipeline.capture.blendshapes"),
        output:
            weights=f"{ROOT}/dataset/face_arkit/{{performance}}.npy",
            pose=f"{ROOT}/annotations/head_pose/{{performance}}.npy",
            report=f"{ROOT}/annotations/fit/{{performance}}.json",
        log:
            f"{ROOT}/logs/blendshapes/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/blendshapes/{{performance}}.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(800),
            runtime=minutes(5, mb_a_minute=60),
        params:
            reads=study.reads,
            options=flags(study.config.blendshapes),
        shell:
            "python -m pipeline.capture.blendshapes --face {input.face:q} --rig {input.rig:q}"
            " --sync {input.sync:q} --performance {wildcards.performance} --out {output.weights:q}"
            " --out-pose {output.pose:q} --out-report {output.report:q} --threads {threads}"
            " {params.options} > {log:q} 2>&1"

    # voices, their words and an encoder's features of them are the longest way to a shard: they go first
    # (priority)
    rule separation:
        input:
            wav=study.raw("wav"),
            sync=study.of_take(f"{ROOT}/annotations/sync/{{take}}.json"),
            face=study.seen("lips", f"{ROOT}/dataset/face_arkit/{{performance}}.npy"),
            mouth=study.seen("visualvoice", f"{study.shoot}/{{take}}/{{performance}}.mouth.npz"),
            picture=study.seen("visualvoice", f"{study.shoot}/{{take}}/{{performance}}.face.npy"),
            beside=study.separation_files,
            code=code("pipeline.capture.separation"),
        output:
            wav=f"{ROOT}/dataset/wav/{{performance}}.wav",
            report=f"{ROOT}/annotations/separation/{{performance}}.json",
        log:
            f"{ROOT}/logs/separation/{{performance}}.log",
        benchmark:
            f"{ROOT}/timings/separation/{{performance}}.tsv"
        priority: 1
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(1200),
        params:
            reads=study.reads,
            options=flags(study.config.separation),
        shell:
            "python -m pipeline.capture.separation --wav {input.wav:q} --face {input.face:q}"
            " --mouth {input.mouth:q} --picture {input.picture:q} --sync {input.sync:q}"
            " --performance {wildcards.performance} --out {output.wav:q} --out-report {output.report:q}"
            " {params.options} > {log:q} 2>&1"

    rule dataset:
        input:
            tables=expand(
                f"{study.shoot}/{{name}}.tsv",
                name=["takes", "actors"] + (["lip_acc/lip_acc"] if study.lip_acc else []),
            ),
            licence=[name for name in [f"{study.shoot}/LICENCE"] if os.path.exists(name)],
            rigs=expand(f"{study.shoot}/rigs/{{actor}}.npz", actor=study.actors),
            sync=expand(f"{ROOT}/annotations/sync/{{take}}.json", take=study.takes),
            bvh=expand(f"{ROOT}/dataset/bvhs/{{performance}}.bvh", performance=study.performances),
            face=expand(f"{ROOT}/dataset/face_arkit/{{performance}}.npy", performance=study.performances),
            wav=expand(f"{ROOT}/dataset/wav/{{performance}}.wav", performance=study.performances),
            code=code("pipeline.capture.dataset"),
        output:
            expand(
                f"{ROOT}/dataset/{{name}}", name=["dataset.json", "takes.tsv", "scenarios.db", "actors.db"]
            ),
            expand(f"{ROOT}/dataset/rigs/{{actor}}.npz", actor=study.actors),
            expand(
                f"{ROOT}/dataset/face_ict/{{performance}}.npy",
                performance=study.with_ict(study.performances),
            ),
            expand(f"{ROOT}/dataset/face_ict_templates/{{actor}}.obj", actor=study.ict_actors),
        log:
            f"{ROOT}/logs/dataset.log",
        benchmark:
            f"{ROOT}/timings/dataset.tsv"
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(400),
        params:
            reads=study.reads,
            shoot=input_folder("tables"),
            sync=input_folder("sync"),
            out=subpath(output[0], parent=True),
        shell:
            "python -m pipeline.capture.dataset --shoot {params.shoot:q} --sync {params.sync:q}"
            " --out {params.out:q} > {log:q} 2>&1"

    # The network of separation method `lips`, trained on the shoot's own microphones and faces: before
    # separation, not after. As in train.smk, checkpoints are not declared.
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
            mem_mb=memory(3000),
            cpus_per_task=study.config.separation_model.threads,
        params:
            reads=study.reads,
            run=subpath(output[0], parent=True),
            options=flags(study.config.separation_model),
        shell:
            "python -m pipeline.capture.train_separation --wav {input.wav:q} --face {input.face:q}"
            " --sync {input.sync:q} --out {params.run:q} {params.options} > {log:q} 2>&1"


# The lip-accurate set of a shoot or download that has one: one actor reads sentences alone, each through
# the stages of a take.
if study.lip_acc and study.config.dataset:

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
            mem_mb=memory(200),
        params:
            reads=study.reads,
            download=input_folder("sentences", levels=2),
            exclude=[f"--exclude={name}" for name in study.excluded(lips=True)],
            reports=f"{ROOT}/annotations/lip_acc",
            out=subpath(output[0], parent=True),
        shell:
            "python -m pipeline.capture.lip_acc --download {params.download:q} {params.exclude:q}"
            " --reports {params.reports:q} --out {params.out:q} > {log:q} 2>&1"

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
            mem_mb=memory(200),
        params:
            reads=study.reads,
            shoot=input_folder("tables"),
            reports=f"{ROOT}/annotations/lip_acc",
            out=subpath(output[0], parent=True),
        shell:
            "python -m pipeline.capture.lip_acc --shoot {params.shoot:q} --reports {params.reports:q}"
            " --out {params.out:q} > {log:q} 2>&1"
