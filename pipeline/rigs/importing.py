"""Rigs out of other programs, as neutral, names, deltas and faces.

From a folder of OBJ files, glTF, or arrays in an .npz.

    a folder of OBJ files   one mesh a shape, named by its file, and a neutral (a download of ICT FaceKit)
    .glb, .gltf             the morph targets of its meshes
    .npz                    neutral (V, 3), names (K), deltas (K, V, 3), faces (F, 3 or 4)

Readers leave lengths in the file's unit and names as they are found; `import_rig` makes cm and ARKit's 51
shapes of them.
"""

import logging
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import arkit, rig_names
from pipeline.formats.array_files import open_npz, plain_value
from pipeline.formats.faces import UNITS_CM
from pipeline.formats.gltf import Morphs, read_gltf
from pipeline.formats.obj import faces_of, read_obj, read_vertices
from pipeline.formats.rig_file import Rig
from pipeline.listing import files_in

log = logging.getLogger("interact")
NEUTRALS = ("neutral", "basis", "rest", "default")
ICT_NEUTRAL = "generic_neutral_mesh"
ICT_IDENTITY = re.compile(r"identity\d*")
"""ICT FaceKit's heads of other people, which are no expressions."""
HEAD_CM = (15.0, 40.0)
"""Shortest and longest of what may be the height of a head's mesh, with or without neck, in cm."""
FORMS = "a folder of .obj, a .glb or .gltf, or an .npz"


class Shapes(NamedTuple):
    """neutral (V, 3), K names, deltas (K, V, 3), float64 in the file's unit, and faces (F, 3 or 4) int32."""

    neutral: np.ndarray
    names: list[str]
    deltas: np.ndarray
    faces: np.ndarray


def import_rig(
    source: Path,
    *,
    unit: str | None = None,
    neutral: Path | None = None,
    mesh: str | None = None,
    missing: str = "error",
) -> Rig:
    """The ARKit rig in a folder or file of any of the forms.

    `unit` is one of UNITS_CM, judged where None; `neutral` names the neutral of OBJ files, `mesh` the mesh of
    a glTF. With `missing` "zero", shapes that are not there do not move.
    """
    source = Path(source)
    shapes = read_shapes(source, neutral=neutral, mesh=mesh)
    found = rig_names.match(shapes.names, str(source))
    if found.left_over:
        log.info("%s: left out, no ARKit shapes: %s", source, ", ".join(found.left_over))
    if found.missing:
        text = (
            f"{source}: {len(found.missing)} of the 51 ARKit shapes are missing: {', '.join(found.missing)}"
        )
        if missing != "zero":
            raise InputError(
                f"{text}; add or rename them, or give --missing zero for shapes that do not move"
            )
        log.warning("%s; they will not move", text)
    scale = unit_cm(shapes.neutral, unit or ("m" if _is_gltf(source) else None), source)
    deltas = np.zeros((len(arkit.NAMES), *shapes.neutral.shape))
    for delta, name in zip(deltas, arkit.NAMES):
        for i in found.sources.get(name, ()):
            delta += shapes.deltas[i]
    return Rig((shapes.neutral * scale).astype(np.float32), (deltas * scale).astype(np.float32), shapes.faces)


def read_shapes(source: Path, *, neutral: Path | None = None, mesh: str | None = None) -> Shapes:
    """Read a folder or file of any of the forms."""
    source = Path(source)
    if neutral and not source.is_dir():
        raise InputError(
            f"{source}: --neutral {neutral} is for a folder of OBJ files, {source.name} holds its own; leave"
            " it out"
        )
    if mesh and not _is_gltf(source):
        raise InputError(f"{source}: --mesh {mesh} is for .glb and .gltf; leave it out")
    if source.is_dir():
        return read_obj_folder(source, neutral)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder, need {FORMS}; check the path")
    if _is_gltf(source):
        return join_meshes(read_gltf(source), mesh, source)
    if source.suffix == ".npz":
        return read_arrays(source)
    raise InputError(
        f"{source}: got a {source.suffix or 'nameless'} file, need {FORMS}; export the rig as one of them"
    )


def read_obj_folder(folder: Path, neutral: Path | None = None) -> Shapes:
    """A folder with an OBJ file a shape, all of one topology.

    Without `neutral`, the file that is named like one is it.
    """
    files = files_in(folder, ".obj")
    if not files:
        raise InputError(f"{folder}: no .obj file, need one a shape and a neutral; export the shapes there")
    base = _neutral_file(folder, files, neutral)
    vertices, faces, checksum = read_obj(base)
    names, deltas = [], []
    for path in files:
        if path.samefile(base) or ICT_IDENTITY.fullmatch(path.stem):
            continue
        shape, own = read_vertices(path)
        if len(shape) != len(vertices):
            raise InputError(
                f"{path}: {len(shape)} vertices, {base.name} has {len(vertices)}; export all shapes with one"
                " topology"
            )
        if own != checksum and not np.array_equal(
            read_obj(path)[1], faces
        ):  # normals may be numbered otherwise in the same topology
            raise InputError(
                f"{path}: its faces are not those of {base.name}; export all shapes with one topology and"
                " order of vertices"
            )
        names.append(path.stem)
        deltas.append(_finite(shape, path) - vertices)
    return Shapes(
        _finite(vertices, base), names, np.array(deltas).reshape(len(names), *vertices.shape), faces
    )


def _neutral_file(folder: Path, files: list[Path], given: Path | None) -> Path:
    if given:
        found = next((path for path in (folder / given, Path(given)) if path.is_file()), None)
        if found is None:
            raise InputError(f"{folder}: no file {given} there or here; correct --neutral")
        return found
    candidates = [
        path
        for path in files
        if path.stem.lower() == ICT_NEUTRAL or re.split(r"[\W_]+", path.stem.lower())[-1] in NEUTRALS
    ]
    if len(candidates) != 1:
        found_names = ", ".join(path.name for path in candidates) or "none"
        raise InputError(
            f"{folder}: neutral meshes: {found_names}, need one, named {'.obj, '.join(NEUTRALS)}.obj; give it"
            " with --neutral"
        )
    return candidates[0]


def join_meshes(meshes: list[Morphs], choice: str | None, source: Path) -> Shapes:
    """Meshes of a glTF as one; shapes that mean the same, or have the same name, move them together.

    `choice` is the name of the one mesh, or node, that is taken.
    """
    if not meshes:
        raise InputError(f"{source}: no mesh with morph targets; export it with shape keys")
    if choice is not None:
        labels = [mesh.node or mesh.mesh for mesh in meshes]
        meshes = [mesh for mesh in meshes if choice in (mesh.mesh, mesh.node)]
        if not meshes:
            raise InputError(
                f"{source}: no mesh {choice!r} with morph targets, need one of {', '.join(labels)}; correct"
                " --mesh"
            )
    names: list[str] = []
    rows: list[list[int]] = []
    first_of: dict[
        tuple[str, str], list[int]
    ] = {}  # shapes by what they mean, or by their name where it means nothing
    for mesh in meshes:
        rows.append([])
        used: set[int] = set()
        for name in mesh.names:
            known = first_of.setdefault(rig_names.arkit_name(name) or ("", name), [])
            same = next((i for i in known if i not in used), None)
            if same is None:
                names.append(name)
                same = len(names) - 1
                known.append(same)
            rows[-1].append(same)
            used.add(same)
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    deltas = np.zeros((len(names), starts[-1], 3))
    for mesh, own, start in zip(meshes, rows, starts):
        deltas[own, start : start + len(mesh.vertices)] = mesh.deltas
    if len(meshes) > 1:
        log.info(
            "%s: joined %s",
            source,
            ", ".join(f"{mesh.node or mesh.mesh} ({len(mesh.vertices)} vertices)" for mesh in meshes),
        )
    faces = np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts)]).astype(np.int32)
    return Shapes(np.concatenate([mesh.vertices for mesh in meshes]), names, deltas, faces)


def read_arrays(path: Path) -> Shapes:
    """An .npz with neutral, names, deltas and faces; a fourth corner of -1 is a triangle among quads."""
    with open_npz(path, fix="copy or write it again") as z:
        missing = [name for name in ("neutral", "names", "deltas", "faces") if name not in z]
        if missing:
            raise InputError(
                f"{path}: no array {', '.join(missing)}, need neutral, names, deltas, faces; write it again"
            )
        neutral, names, deltas, faces = z["neutral"], z["names"], z["deltas"], z["faces"]
    names = np.array([plain_value(name) for name in names.reshape(-1)]) if names.dtype.kind == "S" else names
    if (
        names.ndim != 1
        or names.dtype.kind != "U"
        or neutral.ndim != 2
        or neutral.shape[1] != 3
        or deltas.shape != (len(names), *neutral.shape)
    ):
        got = f"neutral {neutral.shape}, deltas {deltas.shape}, names {names.dtype} {names.shape}"
        raise InputError(f"{path}: {got}; need (V,3), (K,V,3) and K names as text; write it again")
    if neutral.dtype.kind not in "fiu" or deltas.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: neutral {neutral.dtype}, deltas {deltas.dtype}; need numbers; write it again"
        )
    return Shapes(
        _finite(neutral, path).astype(np.float64),
        names.tolist(),
        _finite(deltas, path).astype(np.float64),
        plain_faces(faces, neutral, path),
    )


def plain_faces(faces: np.ndarray, neutral: np.ndarray, path: Path | str) -> np.ndarray:
    """Faces as (F, 3) triangles or (F, 4) quads of vertices that there are.

    -1 as a fourth corner, a triangle among quads, is resolved.
    """
    if faces.ndim != 2 or faces.shape[1] not in (3, 4) or faces.dtype.kind not in "iu":
        raise InputError(
            f"{path}: faces {faces.dtype} {faces.shape}, need integers (F,3) or (F,4); write it again"
        )
    triangles = np.zeros(len(faces), bool) if faces.shape[1] == 3 else faces[:, 3] == -1
    corners = faces[~triangles] if triangles.any() else faces
    for part in (corners, faces[triangles, :3]):
        if part.size and not 0 <= part.min() <= part.max() < len(neutral):
            raise InputError(
                f"{path}: faces name vertices {part.min()} to {part.max()}, need 0 to {len(neutral) - 1};"
                " write it again"
            )
    if triangles.any():
        return faces_of([[corner for corner in face if corner >= 0] for face in faces.tolist()])
    return faces.astype(np.int32)


def unit_cm(neutral: np.ndarray, unit: str | None, source: Path) -> float:
    """Length in cm of the unit that is named, or of the one that makes a head of vertices (V, 3).

    The latter is logged.
    """
    size = float(np.ptp(neutral, axis=0).max()) if len(neutral) else 0.0
    if unit is not None:
        if unit not in UNITS_CM:
            raise InputError(f"{source}: unit {unit!r}, need one of {', '.join(UNITS_CM)}; correct --unit")
        if not HEAD_CM[0] <= size * UNITS_CM[unit] <= HEAD_CM[1]:
            log.warning(
                "%s: %.4g %s high, no head is; check the unit (--unit) and the meshes", source, size, unit
            )
        return UNITS_CM[unit]
    for name, scale in UNITS_CM.items():
        if HEAD_CM[0] <= size * scale <= HEAD_CM[1]:
            log.info(
                "%s: %.4g high, so its unit is taken to be %s (--unit says otherwise)", source, size, name
            )
            return scale
    raise InputError(
        f"{source}: {size:.4g} high, which is a head in none of {', '.join(UNITS_CM)}; give the unit with"
        " --unit"
    )


def _is_gltf(source: Path) -> bool:
    return source.suffix.lower() in (".glb", ".gltf")


def _finite(array: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(array).all():
        raise InputError(f"{path}: NaN or infinite vertices; export it again")
    return array
