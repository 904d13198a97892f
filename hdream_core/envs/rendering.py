"""Draws with MuJoCo, through one OpenGL context per process that all environment instances share.

Several ``mujoco.Renderer``s in one process own a GL context each, and have corrupted each other's frames. Here there is
one GL context, and in it one ``MjrContext`` (meshes and textures on the device) per model, quality and size. An
instance whose textures change has one of its own.

Any thread may draw, one at a time. Each makes the context current for one frame and gives it back, which takes no
measurable time. Handing frames to a dedicated thread takes 5 to 15 % of a fast frame, and more on a busy machine.

There are two qualities. ``paper`` is MuJoCo's own: shadows, reflections, 4x multisampling. ``fast`` omits those (or
keeps reflections where it is asked to) and draws decimated meshes, at some forty times the frames per second on a
software renderer. Neither changes physics.
"""

from __future__ import annotations

import atexit
import copy
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hdream_core.envs import opengl
from hdream_core.envs.meshes import decimated_copy

if TYPE_CHECKING:
    import mujoco

QUALITIES = ("fast", "paper")
_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software")
_KEPT_CONTEXTS = 4  # so that alternating between tasks or qualities does not upload meshes for every frame
_KEPT_OWN = 16  # of instances with textures of their own: ten for evaluation play side by side, and one trains
_MAX_GEOMS = 1000  # in a scene; Meta-world's have about 40
_MAX_SQUARES = 100  # along a plane's shorter side; Meta-world's floor has 80, DMC's quadruped would have 200


class _Context(NamedTuple):
    """Holds everything that drawing one model at one quality and size needs."""

    mjr: mujoco.MjrContext
    scene: mujoco.MjvScene
    options: mujoco.MjvOption
    viewport: mujoco.MjrRect
    textures: int | None  # number of the textures on the device; None if they never change


class _Device:
    """Holds this process's contexts on the device, least recently used first. Use it with ``opengl.lock`` held."""

    def __init__(self) -> None:
        self.gl: opengl.Context | None = None
        self.contexts: OrderedDict[tuple[str, str, int], _Context] = OrderedDict()


_device = _Device()
_forked = False  # whether this process was forked from one that had used OpenGL
_ending = False  # whether the interpreter is ending


def resolve_quality(render: str) -> str:
    """Resolves ``render`` to a quality: ``auto`` is ``fast`` on a software renderer and ``paper`` on a GPU."""
    if render in QUALITIES:
        return render
    if render != "auto":
        raise ValueError(f"unknown render quality {render!r}; choose one of: auto, {', '.join(QUALITIES)}")
    with opengl.lock:
        name = _open().device.lower()
    return "fast" if any(software in name for software in _SOFTWARE) else "paper"


def draw(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    camera: mujoco.MjvCamera,
    *,
    key: str,
    quality: str,
    size: int,
    textures: int | None = None,
    reflections: bool = False,
) -> np.ndarray:
    """Draws ``data`` as an image, uint8 ``(size, size, 3)``, bottom row first.

    Poses, colours and lights are read from ``model`` and ``data`` for every frame; meshes and textures are not.

    Args:
        model, data, camera: what is drawn, and from where.
        key: name of the XML file behind ``model``: instances with the same key share meshes and textures on the device.
        quality: one of ``QUALITIES``.
        size: height and width in pixels.
        textures: number of the textures that ``model`` now has, of an instance that changes them. They are sent to the
            device when the number changes. Such an instance needs a ``key`` of its own.
        reflections: whether ``fast`` draws reflections, too.
    """
    import mujoco

    with opengl.lock:
        gl = _open()
        try:
            gl.make_current()
            mjr, scene, options, viewport, _ = _context(model, key, quality, size, textures)
            scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = reflections or quality == "paper"
            mujoco.mjv_updateScene(model, data, options, None, camera, mujoco.mjtCatBit.mjCAT_ALL.value, scene)
            image = np.empty((size, size, 3), np.uint8)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, mjr)
            mujoco.mjr_render(viewport, scene, mjr)
            mujoco.mjr_readPixels(image, None, viewport, mjr)
            return image
        finally:
            gl.give_back()


def release() -> None:
    """Frees everything that this process holds on the device. The next frame builds it again."""
    global _device
    with opengl.lock:
        if _device.gl is None or _forked:
            return
        device, _device = _device, _Device()
        try:
            device.gl.make_current()
            for context in device.contexts.values():
                context.mjr.free()
            device.gl.free()
        finally:
            device.gl.give_back()


def _open() -> opengl.Context:
    """Returns this process's GL context, current in no thread; makes it at the first call."""
    if _ending:
        if threading.current_thread() is threading.main_thread():
            raise opengl.RenderingError("nothing can be drawn any more: Python is ending")
        raise SystemExit  # ends this thread silently, as Python does a moment later
    if _forked:
        raise opengl.RenderingError(
            "OpenGL does not survive a fork; start this process by multiprocessing's 'spawn' method"
        )
    if _device.gl is None:
        _device.gl = opengl.Context()
        atexit.unregister(_end)
        atexit.register(_end)  # after mujoco registered its own clean-up, so that this one runs first
    return _device.gl


def _end() -> None:
    global _ending
    _ending = True
    release()


def _leave_to_parent() -> None:
    """Lets a forked process wait for no other, and refuse to draw if its parent has used OpenGL."""
    global _forked
    if _device.gl is not None:
        _device.gl.abandon()
    busy = not opengl.lock.acquire(blocking=False)  # held by a thread of the parent, which the fork did not copy
    _forked = _forked or busy or _device.gl is not None
    opengl.lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_leave_to_parent)


def _context(model: mujoco.MjModel, key: str, quality: str, size: int, textures: int | None) -> _Context:
    import mujoco

    contexts, name = _device.contexts, (key, quality, size)
    # The size of the shadow map is the context's own; an instance that changes it needs another.
    if name in contexts and quality == "paper" and contexts[name].mjr.shadowSize != model.vis.quality.shadowsize:
        contexts.pop(name).mjr.free()
    if name not in contexts:
        own = textures is not None
        alike = [other for other, context in contexts.items() if (context.textures is not None) == own]
        for oldest in alike[: max(0, len(alike) + 1 - (_KEPT_OWN if own else _KEPT_CONTEXTS))]:
            contexts.pop(oldest).mjr.free()
        contexts[name] = _build(model, quality, size, textures)
    if contexts[name].textures != textures:
        for number in range(model.ntex):
            mujoco.mjr_uploadTexture(model, contexts[name].mjr, number)
        contexts[name] = contexts[name]._replace(textures=textures)
    contexts.move_to_end(name)
    return contexts[name]


def _build(model: mujoco.MjModel, quality: str, size: int, textures: int | None) -> _Context:
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
    mjr = mujoco.MjrContext(visual, mujoco.mjtFontScale.mjFONTSCALE_150.value)
    return _Context(mjr, scene, mujoco.MjvOption(), mujoco.MjrRect(0, 0, size, size), textures)


def _coarsen_planes(model: mujoco.MjModel) -> None:
    """Divides large planes into fewer squares: lighting all corners can take longer than the rest of a frame."""
    import mujoco

    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    half_sides, spacing = model.geom_size[planes, :2], model.geom_size[planes, 2]
    model.geom_size[planes, 2] = np.maximum(spacing, 2 * half_sides.min(axis=1) / _MAX_SQUARES)
