"""Draws with MuJoCo, through one OpenGL context per process that all environment instances share.

Several ``mujoco.Renderer``s in one process own a GL context each, and have corrupted each other's frames. Here there is
one GL context, and in it one ``MjrContext`` (meshes and textures on the device) per model, quality and size.

There are two qualities. ``paper`` is MuJoCo's own: shadows, reflections, 4x multisampling. ``fast`` omits those and
draws decimated meshes, at some forty times the frames per second on a software renderer. Neither changes physics.
"""

from __future__ import annotations

import atexit
import copy
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hdream_core.envs import opengl
from hdream_core.envs.meshes import decimated_copy

if TYPE_CHECKING:
    import mujoco

QUALITIES = ("fast", "paper")
_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software")
_KEPT_CONTEXTS = 4  # so that alternating between tasks or qualities does not upload meshes for every frame
_MAX_GEOMS = 1000  # in a scene; Meta-world's have about 40
_MAX_SQUARES = 100  # along a plane's shorter side; Meta-world's floor has 80, DMC's quadruped would have 200


class _Context(NamedTuple):
    """All that drawing one model at one quality and size needs."""

    mjr: mujoco.MjrContext
    scene: mujoco.MjvScene
    options: mujoco.MjvOption
    viewport: mujoco.MjrRect


class _Device:
    """Holds this process's contexts on the device, least recently used first."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.gl: Any = None
        self.contexts: OrderedDict[tuple[str, str, int], _Context] = OrderedDict()


_device = _Device()


def resolve_quality(render: str) -> str:
    """Resolves ``render`` to a quality: ``auto`` is ``fast`` on a software renderer and ``paper`` on a GPU."""
    if render in QUALITIES:
        return render
    if render != "auto":
        raise ValueError(f"unknown render quality {render!r}; choose one of: auto, {', '.join(QUALITIES)}")
    _make_current()
    name = opengl.device_name().lower()
    return "fast" if any(software in name for software in _SOFTWARE) else "paper"


def draw(
    model: mujoco.MjModel, data: mujoco.MjData, camera: mujoco.MjvCamera, *, key: str, quality: str, size: int
) -> np.ndarray:
    """Draws ``data`` as an image, uint8 ``(size, size, 3)``, bottom row first.

    ``key`` names the XML file behind ``model``: instances with the same key share meshes and textures on the device.
    Poses, colours and lights are read from ``model`` and ``data`` for every frame.
    """
    import mujoco

    mjr, scene, options, viewport = _context(model, key, quality, size)
    mujoco.mjv_updateScene(model, data, options, None, camera, mujoco.mjtCatBit.mjCAT_ALL.value, scene)
    image = np.empty((size, size, 3), np.uint8)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, mjr)
    mujoco.mjr_render(viewport, scene, mjr)
    mujoco.mjr_readPixels(image, None, viewport, mjr)
    return image


def release() -> None:
    """Frees everything that this process holds on the device. The next frame builds it again."""
    global _device
    if _device.gl is None or _device.process != os.getpid():  # after a fork the contexts belong to the parent
        return
    device, _device = _device, _Device()
    device.gl.make_current()
    for context in device.contexts.values():
        context.mjr.free()
    device.gl.free()


def _make_current() -> None:
    """Makes this process's GL context the current one, since another renderer may have replaced it."""
    global _device
    if _device.gl is None:
        _device = _Device()
        _device.gl = opengl.new_context()
        atexit.unregister(release)
        atexit.register(release)  # after mujoco registered its own clean-up, so that this one runs first
    elif _device.process != os.getpid():
        # Mesa would wait forever for threads that the fork did not copy.
        raise opengl.RenderingError(
            "OpenGL does not survive a fork; start this process by multiprocessing's 'spawn' method"
        )
    else:
        _device.gl.make_current()


def _context(model: mujoco.MjModel, key: str, quality: str, size: int) -> _Context:
    _make_current()
    contexts, name = _device.contexts, (key, quality, size)
    if name in contexts:
        contexts.move_to_end(name)
    else:
        while len(contexts) >= _KEPT_CONTEXTS:
            contexts.popitem(last=False)[1].mjr.free()
        contexts[name] = _build(model, quality, size)
    return contexts[name]


def _build(model: mujoco.MjModel, quality: str, size: int) -> _Context:
    import mujoco

    visual = decimated_copy(model) if quality == "fast" else copy.copy(model)  # a copy: physics uses ``model``
    # A buffer of the image's size gives the same pixels as the default 640 x 480, of which only a corner is used.
    visual.vis.global_.offwidth = visual.vis.global_.offheight = size
    scene = mujoco.MjvScene(model, maxgeom=_MAX_GEOMS)
    if quality == "fast":
        visual.vis.quality.offsamples = visual.vis.quality.shadowsize = 0
        visual.vis.quality.numslices, visual.vis.quality.numstacks = 16, 10  # of spheres; MuJoCo's own: 28, 16
        _coarsen_planes(visual)
        scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
    mjr = mujoco.MjrContext(visual, mujoco.mjtFontScale.mjFONTSCALE_150.value)
    return _Context(mjr, scene, mujoco.MjvOption(), mujoco.MjrRect(0, 0, size, size))


def _coarsen_planes(model: mujoco.MjModel) -> None:
    """Divides large planes into fewer squares: lighting the corners of all can cost more than the rest of a frame."""
    import mujoco

    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    half_sides, spacing = model.geom_size[planes, :2], model.geom_size[planes, 2]
    model.geom_size[planes, 2] = np.maximum(spacing, 2 * half_sides.min(axis=1) / _MAX_SQUARES)
