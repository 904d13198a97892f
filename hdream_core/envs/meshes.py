"""Decimates the meshes of a MuJoCo model, for drawing only.

A software renderer spends most of a 64x64 frame on the 66,000 triangles of the Sawyer arm, nearly all smaller than a
pixel. So a *copy* of the model gets meshes with a tenth of the triangles, written over the originals. Only the OpenGL
context is made from the copy; physics uses the original.

Decimation takes seconds, so every mesh is decimated once per installation and kept in a cache folder.
"""

from __future__ import annotations

import copy
import hashlib
import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hdream_core.support import places, untrusted
from hdream_core.support.files import write_atomically

if TYPE_CHECKING:
    import mujoco

RECIPE = "1"  # part of the cache key: raise it whenever the code below would make other meshes
KEPT_FRACTION = 0.1  # share of a large mesh's triangles that are kept
AGGRESSIVENESS = 3  # of the simplification; the package's default, 7, visibly damages the links of the arm
WHOLE_BELOW = 2600  # faces; smaller meshes are task objects, a few pixels that decide the reward, and stay whole
CREASE_DEGREES = 40.0  # faces that meet at a sharper angle do not share a normal, so that edges stay sharp


class Mesh(NamedTuple):
    """Holds a triangle mesh in its own frame, in metres. A face indexes ``vertices`` and ``normals`` separately."""

    vertices: np.ndarray  # (V, 3) float32
    faces: np.ndarray  # (F, 3) int32, into vertices
    normals: np.ndarray  # (N, 3) float32, unit length
    face_normals: np.ndarray  # (F, 3) int32, into normals


def decimated_copy(model: mujoco.MjModel) -> mujoco.MjModel:
    """Returns a copy of ``model`` with its large meshes decimated, to make an ``MjrContext`` from."""
    coarse = copy.copy(model)
    for index in range(model.nmesh):
        # Texture coordinates would have to be decimated too; Meta-world's meshes have none.
        if model.mesh_facenum[index] >= WHOLE_BELOW and model.mesh_texcoordnum[index] == 0:
            _overwrite(coarse, index, _cached(*_read(model, index)))
    return coarse


def decimate(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Reduces a mesh of vertices ``(V, 3)`` and faces ``(F, 3)`` to about a tenth of its faces."""
    import fast_simplification

    # MuJoCo stores a vertex once per normal. Merge those at one position, or the surface tears along the seams.
    welded, index = np.unique(vertices, axis=0, return_inverse=True)
    faces = index.reshape(-1)[faces]
    proper = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    points, triangles = fast_simplification.simplify(
        np.ascontiguousarray(welded, np.float32),
        np.ascontiguousarray(faces[proper], np.int32),
        target_count=max(1, int(KEPT_FRACTION * len(faces))),
        agg=AGGRESSIVENESS,
    )
    points, triangles = np.asarray(points, np.float32), np.asarray(triangles, np.int32)
    return Mesh(points, triangles, *_creased_normals(points, triangles))


def _creased_normals(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages a normal for each face corner over the faces at that vertex within ``CREASE_DEGREES`` of its face.

    Returns the distinct normals ``(N, 3)`` and the index of each corner's normal ``(F, 3)``.
    """
    a, b, c = (points[faces[:, corner]].astype(np.float64) for corner in range(3))
    area_normal = np.cross(b - a, c - a)  # length: twice the area, the weight in the average
    unit = area_normal / np.maximum(np.linalg.norm(area_normal, axis=1, keepdims=True), 1e-30)

    owner, vertex = np.repeat(np.arange(len(faces)), 3), faces.reshape(-1)
    order = np.argsort(vertex, kind="stable")
    starts = np.searchsorted(vertex[order], np.arange(len(points) + 1))
    corner_normal = np.empty((len(vertex), 3))
    for corner in range(len(vertex)):
        around = owner[order[starts[vertex[corner]] : starts[vertex[corner] + 1]]]
        smooth = around[unit[around] @ unit[owner[corner]] > np.cos(np.radians(CREASE_DEGREES))]
        total = area_normal[smooth].sum(0) if len(smooth) else unit[owner[corner]]
        corner_normal[corner] = total / max(np.linalg.norm(total), 1e-30)
    distinct, index = np.unique(corner_normal.round(5), axis=0, return_inverse=True)
    return distinct.astype(np.float32), index.reshape(-1, 3).astype(np.int32)


def _cached(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Reads the result of ``decimate`` from the cache folder, or computes and stores it."""
    recipe = (RECIPE, KEPT_FRACTION, AGGRESSIVENESS, CREASE_DEGREES, vertices.shape)
    digest = hashlib.sha256(repr(recipe).encode())
    digest.update(vertices.tobytes())
    digest.update(faces.tobytes())
    name = f"{digest.hexdigest()[:32]}.npz"
    try:
        return Mesh(**untrusted.npz(places.cache_folder("meshes") / name))
    except (OSError, TypeError, ValueError):  # absent or damaged: make it again
        mesh = decimate(vertices, faces)
    try:
        path = places.cache_folder("meshes") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        np.savez(data, **mesh._asdict())
        write_atomically(path, data.getvalue())  # so that processes that start together never read half a file
    except OSError as error:
        message = f"decimated meshes cannot be kept ({error}); set {places.CACHE} to a folder that can be written"
        warnings.warn(message, stacklevel=2)
    return mesh


def _read(model: mujoco.MjModel, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies the vertices ``(V, 3)`` and faces ``(F, 3)`` of mesh number ``index``."""
    vertex, face = int(model.mesh_vertadr[index]), int(model.mesh_faceadr[index])
    return (
        model.mesh_vert[vertex : vertex + model.mesh_vertnum[index]].copy(),
        model.mesh_face[face : face + model.mesh_facenum[index]].copy(),
    )


def _overwrite(model: mujoco.MjModel, index: int, mesh: Mesh) -> None:
    """Writes ``mesh`` over mesh number ``index``, unless it is larger."""
    room = (model.mesh_vertnum[index], model.mesh_facenum[index], model.mesh_normalnum[index])
    need = (len(mesh.vertices), len(mesh.faces), len(mesh.normals))
    if any(n > r for n, r in zip(need, room, strict=True)):
        return  # the original draws correctly, only slower
    vertex, face, normal = model.mesh_vertadr[index], model.mesh_faceadr[index], model.mesh_normaladr[index]
    model.mesh_vert[vertex : vertex + need[0]] = mesh.vertices
    model.mesh_face[face : face + need[1]] = mesh.faces
    model.mesh_facenormal[face : face + need[1]] = mesh.face_normals
    model.mesh_normal[normal : normal + need[2]] = mesh.normals
    model.mesh_vertnum[index], model.mesh_facenum[index], model.mesh_normalnum[index] = need
