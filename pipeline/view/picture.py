"""Pictures of a scene without a screen: bodies on the ground, and faces from the front.

In: a Scene, which of its variants to show beside each other, and a size. Out: for each frame an array of
pixels. VTK draws, on the CPU where there is no GPU; vertices are computed here, once a frame. It comes with
the extra `films` and is imported where it is used.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.figures.strips import COLOURS, view_axis
from pipeline.formats.rig_file import Rig
from pipeline.motion import rotations
from pipeline.motion.skeleton import forward_kinematics
from pipeline.view import mannequin
from pipeline.view.glb import SKIN_COLOUR
from pipeline.view.scene import Performance, Person, Scene

VIEW_DEG, FACE_VIEW_DEG = 28.0, 24.0
"""Heights of what the two kinds of cameras see."""
ABOVE_DEG = 12.0
"""How far the camera looks down on the bodies."""
REACH_CM = np.array([22.0, 24.0])
"""How far the skin and the crown may reach beyond a joint, to the sides and up."""
ROUNDS = 6
"""In which the camera finds its place."""
GRID_CM, GRID_BEYOND_CM = 50.0, 100.0
BACKGROUND, FACE_BACKGROUND, LINES, SHADOW = "#f5f5f4", "#e7e5e4", "#d6d3d1", "#c8c5c2"
NEAR_GROUND_CM = 15.0
"""A body whose lowest joint is usually within this of height 0 stands on it."""
FACE_SHARE = 0.3
"""Of a single variant's picture, the width that faces have."""
FACES_BELOW = 0.38
"""Of pictures beside each other, the height that faces have."""

FINER = 1.5
"""Pictures are drawn so many times wider and higher, and made smaller: edges have no steps.

Twice would be smoother, and take a third longer where heads have many vertices.
"""

Tile = tuple[float, float, float, float]
"""A part of the picture: left, bottom, right, top, as shares of its width and height."""


@dataclass(frozen=True)
class Camera:
    """A camera: its place and rows right, up, back (3, 3); half heights seen at distance 1, and aspect."""

    place: np.ndarray
    axes: np.ndarray
    slope: float
    aspect: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Where points (..., 3) in cm are seen: (..., 2) from -1 to 1, rightwards and upwards."""
        local = (points - self.place) @ self.axes.T
        depth = -local[..., 2:] * self.slope
        return local[..., :2] / depth / np.array([self.aspect, 1.0])


def steady_camera(bodies: Sequence[np.ndarray], aspect: float) -> Camera:
    """A camera that sees joints (T, J, 3) of all bodies over the whole take, from where they are widest."""
    ground = view_axis([body[:, :1] for body in bodies])
    right = np.array([ground[0, 0], 0, ground[0, 1]])
    level = np.array([-right[2], 0, right[0]])  # towards the camera: right x level is up
    level = level if np.cross(level, right)[1] > 0 else -level
    down = math.radians(ABOVE_DEG)
    back = math.cos(down) * level + math.sin(down) * np.array([0.0, 1.0, 0.0])
    axes = np.stack([right, np.cross(back, right), back])
    points = np.concatenate([body.reshape(-1, 3) for body in bodies]) @ axes.T
    slope = math.tan(math.radians(VIEW_DEG / 2))
    middle = (points.min(0) + points.max(0)) / 2
    distance = 0.0
    for _ in range(
        ROUNDS
    ):  # what is near is seen large, so the middle of the picture is not that of the points
        distance = max(
            float(((np.abs(points[:, k] - middle[k]) + REACH_CM[k]) / w + points[:, 2]).max()) - middle[2]
            for k, w in ((0, slope * aspect), (1, slope))
        )
        for k in (0, 1):
            depth = middle[2] + distance - points[:, 2]
            low, high = ((points[:, k] - middle[k] + sign * REACH_CM[k]) / depth for sign in (-1, 1))
            middle[k] += (low.min() + high.max()) / 2 * distance / 2
    return Camera((middle + [0, 0, distance]) @ axes, axes, slope, aspect)


def ground_height(bodies: Sequence[np.ndarray]) -> float:
    """Height in cm of the ground under joints (T, J, 3): 0 where the bodies stand there."""
    lowest = float(np.median(np.concatenate([body[..., 1].min(1) for body in bodies])))
    return 0.0 if abs(lowest) < NEAR_GROUND_CM else lowest


def rgb(colour: str) -> tuple[float, float, float]:
    """A colour `#rrggbb` as three numbers from 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def tiles(num_variants: int, num_faces: int) -> list[tuple[Tile, list[Tile]]]:
    """For each variant, where its bodies are in the picture, and where its faces are."""
    if num_variants == 1:
        edge = 1 - FACE_SHARE if num_faces else 1.0
        beside: list[Tile] = [
            (edge, 1 - (k + 1) / num_faces, 1.0, 1 - k / num_faces) for k in range(num_faces)
        ]
        return [((0.0, 0.0, edge, 1.0), beside)]
    result: list[tuple[Tile, list[Tile]]] = []
    for n in range(num_variants):
        left, right = n / num_variants, (n + 1) / num_variants
        low = FACES_BELOW if num_faces else 0.0
        wide = (right - left) / max(num_faces, 1)
        below: list[Tile] = [(left + k * wide, 0.0, left + (k + 1) * wide, low) for k in range(num_faces)]
        result.append(((left, low, right, 1.0), below))
    return result


class _Mesh:
    """A mesh whose vertices change: arrays that VTK reads where they lie.

    shown: the triangles that are drawn among bodies, all by default.
    """

    def __init__(self, faces: np.ndarray, num_vertices: int, colour: str, *, shown: np.ndarray | None = None):
        from vtkmodules.util.numpy_support import numpy_to_vtk
        from vtkmodules.vtkCommonCore import vtkPoints

        self.faces, self.colour = faces, colour
        self.vertices = np.zeros((num_vertices, 3), np.float32)
        self.normals = np.zeros((num_vertices, 3), np.float32)
        self._arrays = [numpy_to_vtk(self.vertices), numpy_to_vtk(self.normals)]
        self._points = vtkPoints()
        self._points.SetData(self._arrays[0])
        self._drawn: list[Any] = []
        self.mapper, self.actor = self._drawing(faces if shown is None else shown)

    def _drawing(self, faces: np.ndarray) -> tuple[Any, Any]:
        """A mapper and an actor of some of the triangles."""
        from vtkmodules.util.numpy_support import numpy_to_vtkIdTypeArray
        from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
        from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

        cells = vtkCellArray()
        cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces, np.int64).ravel(), deep=1))
        data = vtkPolyData()
        data.SetPoints(self._points)
        data.SetPolys(cells)
        data.GetPointData().SetNormals(self._arrays[1])
        self._drawn.append(data)
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(data)
        actor = vtkActor()
        actor.SetMapper(mapper)
        material = actor.GetProperty()
        material.SetColor(*rgb(self.colour))
        material.SetAmbient(0.3)
        material.SetDiffuse(0.8)
        material.SetSpecular(0.1)
        material.SetSpecularPower(12)
        return mapper, actor

    def whole(self) -> Any:
        """An actor of all triangles."""
        return self._drawing(self.faces)[1]

    def set(self, vertices: np.ndarray) -> None:
        """Take new vertices (V, 3), and their normals."""
        self.vertices[:] = vertices
        self.normals[:] = mannequin.vertex_normals(self.vertices, self.faces)
        for array in (*self._arrays, self._points, *self._drawn):
            array.Modified()

    def shadow(self, height: float) -> Any:
        """The mesh once more, flat on the ground."""
        from vtkmodules.vtkCommonMath import vtkMatrix4x4
        from vtkmodules.vtkRenderingCore import vtkActor

        flat = vtkMatrix4x4()
        for row, values in enumerate(
            ([1, -0.25, 0, 0.25 * height], [0, 0, 0, height], [0, -0.15, 1, 0.15 * height])
        ):
            for column, value in enumerate(values):
                flat.SetElement(row, column, value)
        actor = vtkActor()
        actor.SetMapper(self.mapper)
        actor.SetUserMatrix(flat)
        actor.GetProperty().SetColor(*rgb(SHADOW))
        actor.GetProperty().LightingOff()
        return actor


class _Shown:
    """One person in one variant: meshes, and what moves them."""

    def __init__(self, person: Person, performance: Performance, colour: str):
        motion = performance.motion
        self.performance = performance
        self.world, self.turned = forward_kinematics(motion)
        self.rig: Rig | None = person.rig if "Head" in motion.aliases() else None
        self.skin = mannequin.mannequin(motion, head=self.rig is None or mannequin.is_mask(self.rig))
        self.rest = mannequin.rest_places(motion)
        self.body = _Mesh(self.skin.faces, len(self.skin.vertices), colour)
        self.head: _Mesh | None = None
        if self.rig is not None:
            self.head_joint = motion.aliases()["Head"]
            self.place, self.turn = mannequin.head_place(motion, self.rig)
            shown_faces = mannequin.shown_faces(self.rig)
            all_faces = mannequin.triangles(self.rig.faces)
            self.head = _Mesh(all_faces, len(self.rig.neutral), SKIN_COLOUR, shown=shown_faces)
            shown = self.rig.neutral[np.unique(shown_faces)]
            low, high = shown.min(0), shown.max(0)
            self.middle, self.height = (low + high) / 2, float(high[1] - low[1])
            moved = np.flatnonzero(np.abs(self.rig.deltas).max((0, 2)) > 0)
            self.moved, self.deltas = moved, self.rig.deltas[:, moved].reshape(len(self.rig.deltas), -1)

    def set(self, frame: int) -> None:
        """Take the pose and the face of a frame."""
        world, turned = self.world[frame], self.turned[frame]
        self.body.set(mannequin.skinned(self.skin, self.rest, world, turned))
        if self.rig is None or self.head is None:
            return
        vertices = self.rig.neutral.astype(float)
        if self.performance.face is not None:
            vertices[self.moved] += (self.performance.face[frame] @ self.deltas).reshape(-1, 3)
        joint, own = world[self.head_joint], turned[self.head_joint]
        self.head.set(joint + rotations.rotate(own, self.place + rotations.rotate(self.turn, vertices)))

    def face_camera(self, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where a camera stands that looks at the face, what it looks at, and what is up for it."""
        joint, own = self.world[frame, self.head_joint], self.turned[frame, self.head_joint]
        turn = rotations.multiply(own, self.turn)
        target = joint + rotations.rotate(own, self.place + rotations.rotate(self.turn, self.middle))
        distance = 0.56 * self.height / math.tan(math.radians(FACE_VIEW_DEG / 2)) + 8.0
        ahead, up = (rotations.rotate(turn, axis) for axis in (np.array([0, 0, 1.0]), np.array([0, 1.0, 0])))
        return target + distance * ahead, target, up


class Pictures:
    """Frames of a scene as pixels, some variants beside each other.

    size: width and height. `tiles` says what is where; `camera` is that of the bodies, the same in all.
    """

    def __init__(self, scene: Scene, keys: Sequence[str], size: tuple[int, int], *, threads: int = 1):
        variants = [scene.variant(key) for key in keys]
        self.size = size
        os.environ["LP_NUM_THREADS"] = str(threads)  # of Mesa's renderer, read when it is first used
        window = _window((round(FINER * size[0]), round(FINER * size[1])))
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
        from vtkmodules.vtkRenderingCore import vtkLight, vtkRenderer

        self.shown = [
            [
                _Shown(person, performance, COLOURS[k % len(COLOURS)])
                for k, (person, performance) in enumerate(zip(scene.people, variant.performances))
            ]
            for variant in variants
        ]
        self.faced = [k for k in range(len(scene.people)) if all(row[k].head for row in self.shown)]
        self.tiles = tiles(len(variants), len(self.faced))
        worlds = [one.world for row in self.shown for one in row]
        left, low, right, high = self.tiles[0][0]
        aspect = (right - left) * size[0] / ((high - low) * size[1])
        self.camera = steady_camera(worlds, aspect)
        ground = ground_height(worlds)
        self._pixels = vtkUnsignedCharArray()
        self._window = window
        self._bodies: list[Any] = []
        self._faces: list[tuple[_Shown, Any]] = []
        for row, (own, face_tiles) in zip(self.shown, self.tiles):
            renderer = vtkRenderer()
            renderer.SetViewport(*own)
            renderer.SetBackground(*rgb(BACKGROUND))
            _set_camera(
                renderer, self.camera.place, self.camera.place - self.camera.axes[2], self.camera.axes[1]
            )
            renderer.GetActiveCamera().SetViewAngle(VIEW_DEG)
            renderer.AddActor(_grid(worlds, ground))
            for one in row:
                for mesh in (one.body, one.head):
                    if mesh is not None:
                        renderer.AddActor(mesh.shadow(ground + 0.2))
                        renderer.AddActor(mesh.actor)
            side, above, before = self.camera.axes
            renderer.AutomaticLightCreationOff()
            for way, strength in (
                (-0.5 * side + above + before, 0.75),
                (0.9 * side + 0.1 * above + before, 0.35),
            ):
                light = vtkLight()
                light.SetLightTypeToSceneLight()
                light.SetPositional(False)
                light.SetPosition(*way)
                light.SetFocalPoint(0, 0, 0)
                light.SetIntensity(strength)
                renderer.AddLight(light)
            self._bodies.append(renderer)
            window.AddRenderer(renderer)
            for k, tile in zip(self.faced, face_tiles):
                face = vtkRenderer()
                face.SetViewport(*tile)
                face.SetBackground(*rgb(FACE_BACKGROUND))
                if (head := row[k].head) is not None:
                    face.AddActor(head.whole())  # with the neck that the rig has
                face.GetActiveCamera().SetViewAngle(FACE_VIEW_DEG)
                self._faces.append((row[k], face))
                window.AddRenderer(face)

    def frame(self, number: int) -> np.ndarray:
        """The picture of a frame: uint8 (height, width, 3), the first row on top."""
        from PIL import Image
        from vtkmodules.util.numpy_support import vtk_to_numpy

        for row in self.shown:
            for one in row:
                one.set(number)
        for one, renderer in self._faces:
            _set_camera(renderer, *one.face_camera(number))
            renderer.ResetCameraClippingRange()
        for renderer in self._bodies:
            renderer.ResetCameraClippingRange()
        self._window.Render()
        width, height = (round(FINER * side) for side in self.size)
        self._window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, self._pixels)
        drawn = Image.frombuffer("RGBX", (width, height), vtk_to_numpy(self._pixels).tobytes())
        return np.asarray(drawn.resize(self.size, Image.Resampling.BOX))[::-1, :, :3]


def _set_camera(renderer: Any, place: np.ndarray, target: np.ndarray, up: np.ndarray) -> None:
    camera = renderer.GetActiveCamera()
    camera.SetPosition(*place)
    camera.SetFocalPoint(*target)
    camera.SetViewUp(*up)


def _window(size: tuple[int, int]) -> Any:
    """A window that no screen shows; InputError where VTK or OpenGL is missing."""
    try:
        import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - draws what the next module describes
        from vtkmodules.vtkCommonCore import vtkLogger
        from vtkmodules.vtkRenderingCore import vtkRenderWindow
    except ImportError as error:
        raise InputError(f"films: {error}; install the extra with pip install -e '.[films]'") from None
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)  # it says that there is no screen
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    window.SetMultiSamples(0)
    if not window.SupportsOpenGL():
        raise InputError(
            "films: no OpenGL that draws without a screen; on Debian, apt-get install libegl1 libgl1-mesa-dri"
        )
    return window


def _grid(worlds: Sequence[np.ndarray], height: float) -> Any:
    """Lines on the ground, half a metre apart, around where the bodies go."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    places = np.concatenate([world.reshape(-1, 3)[:, [0, 2]] for world in worlds])
    low = np.floor((places.min(0) - GRID_BEYOND_CM) / GRID_CM) * GRID_CM
    high = np.ceil((places.max(0) + GRID_BEYOND_CM) / GRID_CM) * GRID_CM
    ends = []
    for axis in (0, 1):
        for at in np.arange(low[axis], high[axis] + 1, GRID_CM):
            for other in (low[1 - axis], high[1 - axis]):
                ground = np.array([0.0, 0.0])
                ground[axis], ground[1 - axis] = at, other
                ends.append([ground[0], height, ground[1]])
    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.array(ends, np.float32), deep=1))
    cells = vtkCellArray()
    cells.SetData(2, numpy_to_vtkIdTypeArray(np.arange(len(ends), dtype=np.int64), deep=1))
    data = vtkPolyData()
    data.SetPoints(points)
    data.SetLines(cells)
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(data)
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*rgb(LINES))
    actor.GetProperty().LightingOff()
    return actor
