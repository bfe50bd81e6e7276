"""One variant of a scene as USD: skinned bodies, heads with blend shapes, one animation a person (UsdSkel).

In: a Scene. Out: a .usda (text) or .usdc (binary) in metres, y up, whose time code f is frame f. usd-core
writes it, the extra `usd`.

Shapes are sparse as in the GLB (pipeline.view.glb), and bring the change of normals with them. Names that are
no identifiers of USD are changed, and the first names kept as custom data.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.figures.strips import COLOURS
from pipeline.files import whole
from pipeline.formats import arkit
from pipeline.formats.rig_file import Rig
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import bone_tips, forward_kinematics
from pipeline.view import mannequin
from pipeline.view.glb import METRES, SKIN_COLOUR, Character, linear_colour, shapes
from pipeline.view.scene import Performance, Person, Scene

SUFFIXES = (".usda", ".usdc")
MARGIN_M = 0.3
"""How far skin may reach beyond joints and tips of bones."""


def identifier(name: str) -> str:
    """A name as USD allows it: letters, digits and underscores of ASCII, no digit first."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"


def distinct(names: list[str]) -> list[str]:
    """Identifiers for names, all different: `hand_2` for the second that would be `hand`."""
    found: list[str] = []
    for name in names:
        plain, number = identifier(name), 1
        shown = plain
        while shown in found:
            number += 1
            shown = f"{plain}_{number}"
        found.append(shown)
    return found


def joint_paths(motion: Motion) -> list[str]:
    """Joints as UsdSkel names them, with all that are above: Hips/Spine/Neck."""
    paths: list[str] = []
    for name, parent in zip(distinct(motion.names), motion.parents):
        paths.append(name if parent < 0 else f"{paths[parent]}/{name}")
    return paths


def need_usd_core() -> None:
    """InputError where the package that writes USD is missing."""
    try:
        import pxr  # noqa: F401
    except ImportError:
        raise InputError(
            "USD: package usd-core is not installed; install the extra `usd` (pip install '.[usd]')"
        ) from None


def write_usd(scene: Scene, variant: str, out: Path, *, voices: Mapping[str, str] | None = None) -> None:
    """Write a variant of a scene, whole or not at all.

    voices: WAV files by actor, as paths from the folder of `out`.
    """
    need_usd_core()
    from pxr import Sdf

    if out.suffix not in SUFFIXES:
        raise InputError(f"{out}: need a name that ends in {' or '.join(SUFFIXES)}; correct the command")
    layer = Sdf.Layer.CreateAnonymous(out.suffix)
    _write(layer, scene, variant, voices or {})
    with whole(out) as temporary:
        if not layer.Export(str(temporary)):
            raise OSError(f"{out}: usd-core could not write it")


def _write(layer, scene: Scene, key: str, voices: Mapping[str, str]) -> None:
    from pxr import Kind, Usd, UsdGeom

    variant = scene.variant(key)
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.LinearUnits.meters)
    stage.SetTimeCodesPerSecond(scene.fps)
    stage.SetFramesPerSecond(scene.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(scene.num_frames - 1)
    title = f"Take {scene.take}, {variant.label}, of the InterAct pipeline"
    stage.SetMetadata("documentation", title)
    take = UsdGeom.Xform.Define(stage, f"/take_{identifier(scene.take)}".replace("take__", "take_"))
    stage.SetDefaultPrim(take.GetPrim())
    Usd.ModelAPI(take).SetKind(Kind.Tokens.assembly)
    take.GetPrim().SetDocumentation(title)
    take.GetPrim().SetCustomData(
        {
            "take": scene.take,
            "variant": variant.key,
            "label": variant.label,
            "frames": scene.num_frames,
            "notes": "\n".join(scene.notes),
        }
    )
    names = distinct([f"actor_{person.actor}" for person in scene.people])
    for number, (name, person, performance) in enumerate(zip(names, scene.people, variant.performances)):
        writer = _Actor(stage, take.GetPath().AppendChild(name), number, person, performance, scene.people)
        writer.write()
        if person.actor in voices:
            writer.voice(voices[person.actor])


class _Actor:
    """One person below a path of a stage."""

    def __init__(self, stage, path, number: int, person: Person, performance: Performance, people):
        from pxr import Vt

        self.stage, self.path, self.person, self.performance = stage, path, person, performance
        self.motion = performance.motion
        self.rig = Character(number, performance).faced(people)
        self.colour = COLOURS[number % len(COLOURS)]
        self.joints = joint_paths(self.motion)
        self.rest = mannequin.rest_places(self.motion) * METRES
        self.tokens = Vt.TokenArray(self.joints)

    def write(self) -> None:
        """Skeleton, animation, body and head."""
        from pxr import Kind, Usd, UsdGeom, UsdSkel

        root = UsdSkel.Root.Define(self.stage, self.path)
        Usd.ModelAPI(root).SetKind(Kind.Tokens.component)
        root.GetPrim().SetDisplayName(self.person.actor)
        root.GetPrim().SetCustomDataByKey("actor", self.person.actor)
        root.CreateExtentAttr(self.extent())
        UsdGeom.Scope.Define(self.stage, self.path.AppendChild("Materials"))
        binding = UsdSkel.BindingAPI.Apply(root.GetPrim())
        skeleton = self.skeleton()
        binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
        moved = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
        moved.CreateAnimationSourceRel().SetTargets([self.animation().GetPath()])
        self.body()
        if self.rig is not None:
            self.head(self.rig)

    def extent(self):
        """Corners (2, 3) of a box that holds the person in all frames."""
        places, turned = forward_kinematics(self.motion)
        tips = bone_tips(self.motion.ends_cm, places, turned)
        points = np.concatenate([places, tips]).reshape(-1, 3) * METRES
        return _vectors(np.stack([points.min(0) - MARGIN_M, points.max(0) + MARGIN_M]))

    def skeleton(self):
        """Joints with their pose when skin was bound, which is the rest pose of the BVH."""
        from pxr import UsdSkel, Vt

        skeleton = UsdSkel.Skeleton.Define(self.stage, self.path.AppendChild("Skeleton"))
        skeleton.CreateJointsAttr(self.tokens)
        skeleton.CreateBindTransformsAttr(_moves(self.rest))
        skeleton.CreateRestTransformsAttr(_moves(np.asarray(self.motion.offsets_cm, float) * METRES))
        if [path.rpartition("/")[2] for path in self.joints] != list(self.motion.names):
            skeleton.GetPrim().SetCustomDataByKey("jointNames", Vt.StringArray(self.motion.names))
        return skeleton

    def animation(self):
        """A time sample a frame; one value for what never changes."""
        from pxr import UsdSkel, Vt

        motion = self.motion
        animation = UsdSkel.Animation.Define(self.stage, self.path.AppendChild("Animation"))
        animation.CreateJointsAttr(self.tokens)
        places = (np.asarray(motion.positions_cm, float) * METRES).astype(np.float32)
        turned = rotations.normalise(rotations.continuous(np.asarray(motion.rotations, float)))
        _samples(animation.CreateTranslationsAttr(), places, Vt.Vec3fArray.FromNumpy)
        _samples(animation.CreateRotationsAttr(), turned.astype(np.float32), Vt.QuatfArray.FromNumpy)
        scales = np.ones((len(self.joints), 3), np.float16)
        animation.CreateScalesAttr(Vt.Vec3hArray.FromNumpy(scales))
        if self.rig is not None:
            face = self.performance.face
            weights = np.zeros((1, len(arkit.NAMES))) if face is None else face
            animation.CreateBlendShapesAttr(Vt.TokenArray(arkit.NAMES))
            _samples(
                animation.CreateBlendShapeWeightsAttr(), weights.astype(np.float32), Vt.FloatArray.FromNumpy
            )
        return animation

    def mesh(self, name: str, vertices, normals, faces, colour: str):
        """A mesh of triangles, (V, 3) in metres, bound to no joint yet."""
        from pxr import UsdGeom, UsdShade, UsdSkel, Vt

        mesh = UsdGeom.Mesh.Define(self.stage, self.path.AppendChild(name))
        mesh.CreatePointsAttr(_vectors(vertices))
        mesh.CreateExtentAttr(_vectors(np.stack([vertices.min(0), vertices.max(0)])))
        mesh.CreateNormalsAttr(_vectors(normals))
        mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
        mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
        mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.astype(np.int32).reshape(-1)))
        mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        mesh.CreateDisplayColorAttr(_vectors(np.array([linear_colour(colour)[:3]])))
        UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(self.material(name, colour))
        return mesh, UsdSkel.BindingAPI.Apply(mesh.GetPrim())

    def material(self, name: str, colour: str):
        """A matt surface of a colour."""
        from pxr import Gf, Sdf, UsdShade

        path = self.path.AppendChild("Materials").AppendChild(name)
        material = UsdShade.Material.Define(self.stage, path)
        shader = UsdShade.Shader.Define(self.stage, path.AppendChild("Surface"))
        shader.CreateIdAttr("UsdPreviewSurface")
        shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(
            Gf.Vec3f(*linear_colour(colour)[:3])
        )
        shader.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
        shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.75)
        material.CreateSurfaceOutput().ConnectToSource(
            shader.CreateOutput("surface", Sdf.ValueTypeNames.Token)
        )
        return material

    def body(self) -> None:
        """The skinned mannequin."""
        from pxr import Gf, Vt

        skin = mannequin.mannequin(self.motion, head=self.rig is None or mannequin.is_mask(self.rig))
        _, binding = self.mesh("body", skin.vertices * METRES, skin.normals, skin.faces, self.colour)
        used = int(np.flatnonzero(skin.weights.any(0)).max()) + 1
        indices, weights = (
            skin.joints[:, :used].astype(np.int32),
            skin.weights[:, :used].astype(np.float32),
        )
        binding.CreateJointIndicesPrimvar(False, used).Set(Vt.IntArray.FromNumpy(indices.reshape(-1)))
        binding.CreateJointWeightsPrimvar(False, used).Set(Vt.FloatArray.FromNumpy(weights.reshape(-1)))
        binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))

    def head(self, rig: Rig) -> None:
        """The face rig, held by the Head joint alone, with its shapes."""
        from pxr import Gf, UsdSkel, Vt

        faces = mannequin.shown_faces(rig)
        vertices = rig.neutral.astype(float) * METRES
        normals = mannequin.vertex_normals(rig.neutral, faces)
        mesh, binding = self.mesh("head", vertices, normals, faces, SKIN_COLOUR)
        mesh.CreateDoubleSidedAttr(True)
        joint = self.motion.aliases()["Head"]
        place, turn = mannequin.head_place(self.motion, rig)
        matrix = np.eye(4)
        matrix[:3, :3] = rotations.rotate(
            rotations.normalise(turn)[None], np.eye(3)
        )  # rows: vectors times it
        matrix[3, :3] = place * METRES + self.rest[joint]
        binding.CreateGeomBindTransformAttr(Gf.Matrix4d(*matrix.reshape(-1).tolist()))
        binding.CreateJointsAttr(Vt.TokenArray([self.joints[joint]]))
        num = len(vertices)
        binding.CreateJointIndicesPrimvar(False, 1).Set(Vt.IntArray.FromNumpy(np.zeros(num, np.int32)))
        binding.CreateJointWeightsPrimvar(False, 1).Set(Vt.FloatArray.FromNumpy(np.ones(num, np.float32)))
        targets = []
        for name, (moved, delta) in zip(arkit.NAMES, shapes(rig)):
            changed = mannequin.vertex_normals(rig.neutral + _spread(moved, delta, num), faces) - normals
            if not len(moved):  # a shape without indices would have to name all vertices
                moved, delta = np.zeros(1, int), np.zeros((1, 3))
            shape = UsdSkel.BlendShape.Define(self.stage, mesh.GetPath().AppendChild(name))
            shape.CreateOffsetsAttr(_vectors(delta.astype(float) * METRES))
            shape.CreateNormalOffsetsAttr(_vectors(changed[moved]))
            shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(moved.astype(np.int32)))
            targets.append(shape.GetPath())
        binding.CreateBlendShapesAttr(Vt.TokenArray(arkit.NAMES))
        binding.CreateBlendShapeTargetsRel().SetTargets(targets)

    def voice(self, path: str) -> None:
        """A WAV beside the file, heard from time code 0 on, which is the schema's default."""
        from pxr import Sdf, UsdMedia

        sound = UsdMedia.SpatialAudio.Define(self.stage, self.path.AppendChild("voice"))
        sound.CreateFilePathAttr(Sdf.AssetPath(f"./{path}"))
        sound.CreateAuralModeAttr(UsdMedia.Tokens.nonSpatial)
        sound.CreatePlaybackModeAttr(UsdMedia.Tokens.onceFromStart)


def _vectors(values: np.ndarray):
    from pxr import Vt

    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32))


def _moves(places: np.ndarray):
    """Matrices of shifts (n, 3), as USD has them: a row vector times the matrix."""
    from pxr import Vt

    matrices = np.tile(np.eye(4), (len(places), 1, 1))
    matrices[:, 3, :3] = places
    return Vt.Matrix4dArray.FromNumpy(matrices)


def _samples(attribute, values: np.ndarray, array) -> None:
    """Set values (T, n, ...) at time codes 0 to T - 1; one value where they never change."""
    if (values == values[:1]).all():
        attribute.Set(array(np.ascontiguousarray(values[0])))
        return
    for frame, row in enumerate(values):
        attribute.Set(array(np.ascontiguousarray(row)), float(frame))


def _spread(moved: np.ndarray, delta: np.ndarray, num: int) -> np.ndarray:
    result = np.zeros((num, 3))
    result[moved] = delta
    return result
