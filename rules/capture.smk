# From raw streams to the dataset. Runs for a shoot, simulated or real; not for a downloaded release.


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
            mem_mb=400,
        params:
            reads=study.reads,
            actors=lambda wildcards: study.takes[wildcards.take].actors,
            options=flags(study.config.sync),
        shell:
            "python -m pipeline.capture.sync --timecode {input.timecode:q} --actors {params.actors} --bvh {input.bvh:q} --face {input.face:q} --wav {input.wav:q} --rig {input.rig:q} --out {output:q} {params.options} > {log:q} 2>&1"

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
            mem_mb=1200,
        params:
            reads=study.reads,
            options=flags(study.config.body),
        shell:
            "python -m pipeline.capture.body --bvh {input.bvh:q} --sync {input.sync:q} --performance {wildcards.performance} --out {output.bvh:q} --out-report {output.report:q} {params.options} > {log:q} 2>&1"

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
            mem_mb=800,
        params:
            reads=study.reads,
            options=flags(study.config.blendshapes),
        shell:
            "python -m pipeline.capture.blendshapes --face {input.face:q} --rig {input.rig:q} --sync {input.sync:q} --performance {wildcards.performance} --out {output.weights:q} --out-pose {output.pose:q} --out-report {output.report:q} --threads {threads} {params.options} > {log:q} 2>&1"

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
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=1200,
        params:
            reads=study.reads,
            options=flags(study.config.separation),
        shell:
            "python -m pipeline.capture.separation --wav {input.wav:q} --face {input.face:q} --mouth {input.mouth:q} --picture {input.picture:q} --sync {input.sync:q} --performance {wildcards.performance} --out {output.wav:q} --out-report {output.report:q} {params.options} > {log:q} 2>&1"

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
            mem_mb=400,
        params:
            reads=study.reads,
            shoot=input_folder("tables"),
            sync=input_folder("sync"),
            out=subpath(output[0], parent=True),
        shell:
            "python -m pipeline.capture.dataset --shoot {params.shoot:q} --sync {params.sync:q} --out {params.out:q} > {log:q} 2>&1"
