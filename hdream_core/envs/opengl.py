"""Chooses an OpenGL backend that draws without a display, before mujoco is imported."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from types import ModuleType
from typing import Any

from hdream_core.support.errors import UserError

INSTALL = "apt-get install libegl1 libgl1-mesa-dri libgl1 libosmesa6"


class RenderingError(UserError, RuntimeError):
    """This machine cannot draw as it is set up; the message says how to change that."""


def load_mujoco() -> ModuleType:
    """Imports mujoco with an OpenGL backend that works without a display; RenderingError if there is none.

    mujoco reads ``MUJOCO_GL`` once, on import, so it is set before: the user's own choice, else EGL, else OSMesa.
    """
    if sys.platform == "linux" and not os.environ.get("MUJOCO_GL"):
        # EGL alone is not enough: PyOpenGL also needs libGL or libOpenGL.
        if _egl_has_device() and (_loadable("libGL.so.1") or _loadable("libOpenGL.so.0")):
            os.environ["MUJOCO_GL"] = "egl"
        elif _loadable("libOSMesa.so.8") or _loadable("libOSMesa.so"):
            os.environ["MUJOCO_GL"] = "osmesa"
        else:
            raise RenderingError(f"no OpenGL library can be loaded; run: {INSTALL}")
    # At 64x64, Mesa's threads cost more than they save, and there is one environment a process. Keep a user's choice.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        import mujoco
    except (ImportError, AttributeError, OSError, RuntimeError) as error:  # any of them can mean "no such library"
        if isinstance(error, ModuleNotFoundError) and error.name == "mujoco":
            raise
        backend = os.environ.get("MUJOCO_GL", "")
        raise RenderingError(
            f"mujoco cannot load its OpenGL backend {backend!r} ({_reason(error)}){_remedy(backend)}"
        ) from error
    return mujoco


def new_context() -> Any:
    """Makes an OpenGL context without a window, and makes it current. ``free()`` releases it."""
    mujoco = load_mujoco()
    backend = os.environ.get("MUJOCO_GL", "").lower()
    try:
        if sys.platform == "linux" and backend in ("egl", "osmesa"):
            # By name: mujoco.GLContext belongs to another backend if mujoco was imported before the choice.
            kind = importlib.import_module(f"mujoco.{backend}").GLContext
        else:
            kind = mujoco.GLContext
        context = kind.__new__(kind)
        context._context = None  # what its destructor looks for, should the next line fail
        context.__init__(64, 64)  # any size: MuJoCo draws into its own buffers
        context.make_current()
        device_name()  # some backends fail silently
    except Exception as error:  # every backend raises other types
        raise RenderingError(
            f"MUJOCO_GL={backend} gives no OpenGL context ({_reason(error)}){_remedy(backend)}"
        ) from error
    return context


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _remedy(backend: str) -> str:
    """Returns what to do about a backend that does not work, where this machine shows it; else nothing."""
    for name in ("PYOPENGL_PLATFORM", "MUJOCO_EGL_DEVICE_ID"):
        value = os.environ.get(name)
        if value and value != backend.lower():  # mujoco sets the former to the backend itself
            return f"; {name} is {value}: unset it, or set another"
    if sys.platform != "linux":
        return ""
    if backend.lower() not in ("egl", "osmesa"):
        return "; unset MUJOCO_GL, or set it to egl or osmesa"
    lacks = {
        "egl": not (_egl_has_device() and (_loadable("libGL.so.1") or _loadable("libOpenGL.so.0"))),
        "osmesa": not (_loadable("libOSMesa.so.8") or _loadable("libOSMesa.so")),
    }
    return f"; run: {INSTALL}" if lacks[backend.lower()] else ""


def device_name() -> str:
    """Returns the current context's name of its device, such as ``llvmpipe (LLVM 15.0.6, 256 bits)``."""
    from OpenGL import GL

    name = GL.glGetString(GL.GL_RENDERER)
    if name is None:
        raise RenderingError("no OpenGL context is current")
    return name.decode()


def _loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _egl_has_device() -> bool:
    """Tells whether EGL is installed and offers a device to draw on, as mujoco's EGL backend needs."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
        find = egl.eglGetProcAddress
    except (OSError, AttributeError):
        return False
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    address = find(b"eglQueryDevicesEXT")
    if not address:
        return False
    int_pointer = ctypes.POINTER(ctypes.c_int)
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, int_pointer)(address)
    count = ctypes.c_int(0)
    return bool(query(0, None, ctypes.byref(count))) and count.value > 0
