import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import needs
from helpers.scenes import head_vertices, ict_rig, recorded_scene, talking_scene, ten_frames
from helpers.tiny_scene import TAKE, make_run

from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.motion import rotations
from pipeline.motion.skeleton import forward_kinematics
from pipeline.view import export, mannequin
from pipeline.view.sources import open_source
from pipeline.view.usd import distinct, identifier, joint_paths, write_usd

JOINTS_MM, HEAD_MM, BODY_MM = 0.1, 0.01, 0.1


@pytest.fixture(autouse=True)
def usd_core():
    needs.usd()


@pytest.fixture(scope="module", params=["simulated", "recorded", "ict"])
def written(request, tmp_path_factory):
    """A scene, and its last variant as a stage."""
    needs.usd()
    from pxr import Usd

    folder = tmp_path_factory.mktemp("usd")
    if request.param == "simulated":
        scene = talking_scene()
    elif request.param == "recorded":
        scene = recorded_scene(
            request.config.rootpath / "tests" / "recordings" / "cmu_01_03.bvh", folder / "source"
        )
    else:
        rig = ict_rig(request.getfixturevalue("real_data"))
        scene = talking_scene(31, rigs=(rig, rig), variants=("captured",))
    path = folder / "take.usdc"
    write_usd(scene, scene.variants[-1].key, path)
    return scene, Usd.Stage.Open(str(path))


def actors(scene, stage):
    """Each person with what a reader makes of them: performance, root, query of the skeleton, of meshes."""
    from pxr import Usd, UsdSkel

    for person, performance in zip(scene.people, scene.variants[-1].performances):
        path = stage.GetDefaultPrim().GetPath().AppendChild(identifier(f"actor_{person.actor}"))
        root = UsdSkel.Root.Get(stage, path)
        cache = UsdSkel.Cache()
        cache.Populate(root, Usd.PrimDefaultPredicate)
        (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
        targets = {q.GetPrim().GetName(): q for q in binding.GetSkinningTargets()}
        yield person, performance, root, cache.GetSkelQuery(binding.GetSkeleton()), targets


def posed(skeleton, query, frame: int) -> np.ndarray:
    """Where the points (V, 3) of a mesh are at a frame, in cm, as usd-core deforms them."""
    from pxr import UsdGeom, UsdSkel

    points = UsdGeom.Mesh(query.GetPrim()).GetPointsAttr().Get()
    if query.HasBlendShapes():
        shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(query.GetPrim()))
        weights = skeleton.GetAnimQuery().ComputeBlendShapeWeights(frame)
        mapped = query.GetBlendShapeMapper().Remap(weights) if query.GetBlendShapeMapper() else weights
        weights, numbers, parts = shapes.ComputeSubShapeWeights(mapped)
        assert shapes.ComputeDeformedPoints(
            weights,
            numbers,
            parts,
            shapes.ComputeBlendShapePointIndices(),
            shapes.ComputeSubShapePointOffsets(),
            points,
        )
    xforms = skeleton.ComputeSkinningTransforms(frame)
    assert query.ComputeSkinnedPoints(xforms, points, frame)
    return 100 * np.array(points, float)


def test_joints_are_where_forward_kinematics_has_them(written):
    scene, stage = written
    for _, performance, _, skeleton, _ in actors(scene, stage):
        world, turned = forward_kinematics(performance.motion)
        assert list(skeleton.GetJointOrder()) == joint_paths(performance.motion)
        for frame in ten_frames(scene.num_frames):
            matrices = np.array(skeleton.ComputeJointSkelTransforms(frame)).reshape(-1, 4, 4)
            far = np.linalg.norm(100 * matrices[:, 3, :3] - world[frame], axis=1)
            assert 10 * far.max() < JOINTS_MM
            axes = rotations.rotate(turned[frame][:, None], np.eye(3)[None])
            np.testing.assert_allclose(matrices[:, :3, :3], axes, atol=1e-5)


def test_heads_are_neutral_plus_weights_times_shapes(written):
    scene, stage = written
    for person, performance, _, skeleton, meshes in actors(scene, stage):
        if person.rig is None:
            assert "head" not in meshes and performance.face is None
            continue
        world, turned = forward_kinematics(performance.motion)
        assert list(meshes["head"].GetBlendShapeOrder()) == list(arkit.NAMES)
        for frame in ten_frames(scene.num_frames):
            expected = head_vertices(performance.motion, person.rig, performance.face, world, turned, frame)
            far = np.linalg.norm(posed(skeleton, meshes["head"], frame) - expected, axis=1)
            assert 10 * far.max() < HEAD_MM


def test_the_body_is_the_skinned_mannequin(written):
    scene, stage = written
    for person, performance, root, skeleton, meshes in actors(scene, stage):
        motion = performance.motion
        head = person.rig is None or mannequin.is_mask(person.rig)
        skin, rest = mannequin.mannequin(motion, head=head), mannequin.rest_places(motion)
        world, turned = forward_kinematics(motion)
        low, high = (100 * np.array(corner, float) for corner in root.GetExtentAttr().Get())
        for frame in ten_frames(scene.num_frames):
            expected = mannequin.skinned(skin, rest, world[frame], turned[frame])
            far = np.linalg.norm(posed(skeleton, meshes["body"], frame) - expected, axis=1)
            assert 10 * far.max() < BODY_MM
            assert (expected > low).all() and (expected < high).all()


def faults(stage) -> list[str]:
    """What any of the rules that usd-core brings finds."""
    from pxr import UsdValidation

    rules = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(rules) > 20
    found = UsdValidation.ValidationContext(rules).Validate(stage)
    return [f"{error.GetName()}: {error.GetMessage()}" for error in found]


def test_all_rules_of_usd_pass(written):
    from pxr import Usd, UsdGeom

    _, stage = written
    assert not faults(stage)
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1 and UsdGeom.GetStageUpAxis(stage) == "Y"
    copy = stage.Flatten()
    copy.pseudoRoot.ClearInfo("metersPerUnit")
    copy.defaultPrim = ""
    assert len(faults(Usd.Stage.Open(copy))) >= 2


def test_the_clock_and_the_names(tmp_path):
    from pxr import Usd

    scene = talking_scene(20, variants=("captured", "trained_models/sample-01"))
    write_usd(scene, "trained_models/sample-01", tmp_path / "take.usda")
    text = (tmp_path / "take.usda").read_text()
    assert str(tmp_path) not in text and "trained models/sample-01" in text
    stage = Usd.Stage.Open(str(tmp_path / "take.usda"))
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 19)
    assert stage.GetTimeCodesPerSecond() == stage.GetFramesPerSecond() == 30
    top = stage.GetDefaultPrim()
    assert top.GetName() == f"take_{TAKE}" and top.GetCustomData()["variant"] == "trained_models/sample-01"
    assert [prim.GetDisplayName() for prim in top.GetChildren()] == ["001", "002"]
    skeleton = stage.GetPrimAtPath(f"/take_{TAKE}/actor_001/Skeleton")
    assert "jointNames" not in skeleton.GetCustomData()


def test_names_that_usd_forbids_are_changed_and_kept(tmp_path):
    from pxr import Usd

    scene = talking_scene(5, rigs=(None,), variants=("captured",))
    performance = scene.variants[0].performances[0]
    motion = replace(performance.motion, names=[f"mixamorig:{n}" for n in performance.motion.names])
    motion.names[3:5] = ["a b", "a:b"]
    person = replace(scene.people[0], actor="walk fast, twice")
    odd = replace(
        scene,
        take="1 walk",
        people=(person,),
        variants=(replace(scene.variants[0], performances=(replace(performance, motion=motion),)),),
    )
    write_usd(odd, "captured", tmp_path / "take.usda")
    stage = Usd.Stage.Open(str(tmp_path / "take.usda"))
    actor = stage.GetPrimAtPath("/take_1_walk/actor_walk_fast__twice")
    assert actor.GetCustomData()["actor"] == actor.GetDisplayName() == "walk fast, twice"
    skeleton = actor.GetChild("Skeleton")
    joints = [path.rpartition("/")[2] for path in skeleton.GetAttribute("joints").Get()]
    assert joints[:1] == ["mixamorig_Hips"] and joints[3:5] == ["a_b", "a_b_2"]
    assert list(skeleton.GetCustomData()["jointNames"]) == motion.names
    assert not faults(stage)


def test_identifiers_are_distinct():
    assert [identifier(name) for name in ("Hips", "0a", "é:b", "")] == ["Hips", "_0a", "__b", "_"]
    assert distinct(["a", "a b", "a_b", "a:b"]) == ["a", "a_b", "a_b_2", "a_b_3"]


@pytest.mark.parametrize("ending", ["usda", "usdc"])
def test_the_same_scene_gives_the_same_bytes(tmp_path, ending):
    for name in ("one", "two"):
        write_usd(talking_scene(9), "captured", tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


def test_export_writes_usd_with_the_voices_that_it_names(tmp_path):
    from pxr import Usd, UsdMedia

    made = make_run(tmp_path / "run", samples=1)
    arguments = [TAKE, "--source", str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--formats", "usd"]
    export.main(arguments)
    folder = tmp_path / "out" / TAKE
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {"captured.usdc", "trained_models.usdc", "voice.001.wav", "voice.002.wav"}
    stage = Usd.Stage.Open(str(folder / "captured.usdc"))
    assert not faults(stage)
    sounds = [UsdMedia.SpatialAudio(prim) for prim in stage.Traverse() if prim.IsA(UsdMedia.SpatialAudio)]
    found = [sound.GetFilePathAttr().Get() for sound in sounds]
    assert [path.path for path in found] == ["./voice.001.wav", "./voice.002.wav"]
    assert all(path.resolvedPath == str(folder / path.path[2:]) for path in found)
    voice = open_source(made.dataset).scene(TAKE).people[0].voice
    assert (folder / "voice.001.wav").read_bytes() == voice.read_bytes()


def test_a_name_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="need a name that ends in .usda or .usdc"):
        write_usd(talking_scene(3), "captured", tmp_path / "take.usdz")
    with pytest.raises(InputError, match="no variant 'best'"):
        write_usd(talking_scene(3), "best", tmp_path / "take.usdc")
    assert not list(tmp_path.iterdir())


def test_without_usd_core_one_line_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(InputError, match="usd-core is not installed; install the extra `usd`"):
        write_usd(talking_scene(3), "captured", tmp_path / "take.usdc")
    make_run(tmp_path / "run", samples=0)
    with pytest.raises(SystemExit) as stop:
        export.main(
            [
                TAKE,
                "--source",
                str(tmp_path / "run"),
                "--out",
                str(tmp_path / "out"),
                "--formats",
                "glb",
                "usd",
            ]
        )
    assert stop.value.code == 2 and "the extra `usd`" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists() and not (tmp_path / "take.usdc").exists()
