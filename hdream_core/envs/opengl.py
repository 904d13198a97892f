"""Chooses an OpenGL backend that draws without a display, before mujoco is imported, and makes its context."""

from __future__ import annotations

import atexit
import ctypes
import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from hdream_core.support.errors import UserError

INSTALL = "apt-get install libegl1 libgl1-mesa-dri libgl1 libosmesa6"
_EGL_OPENGL_API = 0x30A2
lock = threading.RLock()
"""Lock of the thread that uses OpenGL, or that briefly changes state that all threads share, such as the variable that
chooses the backend. A forked process has its own."""


class RenderingError(UserError, RuntimeError):
    """Reports that this machine cannot draw as it is set up; the message says what to change."""


def load_mujoco() -> ModuleType:
    """Imports mujoco with an OpenGL backend that works without a display; raises RenderingError if there is none.

    mujoco reads ``MUJOCO_GL`` once, on import. So it is set first: to the user's own choice, else EGL, else OSMesa.
    """
    if sys.platform == "linux" and not os.environ.get("MUJOCO_GL"):
        usable = next((backend for backend in ("egl", "osmesa") if _has_libraries(backend)), None)
        if usable is None:
            raise RenderingError(f"no OpenGL library can be loaded; run: {INSTALL}")
        os.environ["MUJOCO_GL"] = usable
    # At 64x64, Mesa's threads cost more than they save, and each environment has a process. Keep a user's choice.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        import mujoco
    except (ImportError, AttributeError, OSError, RuntimeError) as error:  # each of them can mean "no such library"
        if isinstance(error, ModuleNotFoundError) and error.name == "mujoco":
            raise
        backend = os.environ.get("MUJOCO_GL", "")
        raise RenderingError(
            f"mujoco cannot load its OpenGL backend {backend!r} ({_reason(error)}){_remedy(backend)}"
        ) from error
    return mujoco


class Context:
    """Makes an OpenGL context without a window; raises RenderingError if this machine offers none.

    A context is current in at most one thread. EGL refuses it to other threads until that one gives it back, even if
    that thread has ended. So draw between ``make_current()`` and ``give_back()`` in a ``finally``, and hold ``lock``.
    """

    device: str
    """Name of the device that draws, such as ``llvmpipe (LLVM 15.0.6, 256 bits)``."""
    give_back: Callable[[], object]
    """Makes no context current in this thread. With EGL and OSMesa it runs no Python code, so Ctrl-C cannot interrupt
    between a frame and giving back."""

    def __init__(self) -> None:
        mujoco = load_mujoco()
        backend = os.environ.get("MUJOCO_GL", "").lower()
        try:
            if sys.platform == "linux" and backend in ("egl", "osmesa"):
                # By name: if mujoco was imported before the choice, mujoco.GLContext belongs to another backend.
                kind = importlib.import_module(f"mujoco.{backend}").GLContext
            else:
                kind = mujoco.GLContext
            self._backend = kind.__module__.rpartition(".")[2]
            self._context = kind.__new__(kind)
            self._context._context = None  # its destructor reads this, also if the next line fails
            self._context.__init__(64, 64)  # any size: MuJoCo draws into its own buffers
            self._make_current, self.give_back = _calls(self._backend, self._context)
            try:
                self.make_current()
                self.device = _device_name()  # some backends fail silently
            finally:
                self.give_back()
        except Exception as error:  # each backend raises other types
            raise RenderingError(
                f"MUJOCO_GL={backend} gives no OpenGL context ({_reason(error)}){_remedy(backend)}"
            ) from error

    def make_current(self) -> None:
        """Makes this context current in the calling thread, in place of one that another renderer left."""
        if not self._make_current():
            self._context.make_current()  # raises the reason

    def free(self) -> None:
        """Frees the context, which must be current."""
        self._context.free()

    def abandon(self) -> None:
        """Leaves the context to the process that this one was forked from, also when this one ends.

        Otherwise Mesa would wait forever for threads that the fork did not copy.
        """
        self._context._context = None
        if self._backend == "egl":
            atexit.unregister(importlib.import_module("mujoco.egl.egl_ext").eglTerminate)


def _calls(backend: str, context: Any) -> tuple[Callable[[], object], Callable[[], object]]:
    """Returns functions that make mujoco's ``context`` current (true if they did) and that make none current.

    EGL's and OSMesa's functions are called directly and not through PyOpenGL, whose checks take longer than the calls
    and turn Ctrl-C into an ``ArgumentError``.
    """
    from OpenGL import GL
    from OpenGL.platform import PLATFORM

    pointer, number = ctypes.c_void_p, ctypes.c_uint
    if backend == "egl":
        display = ctypes.cast(importlib.import_module("mujoco.egl").EGL_DISPLAY, pointer)
        bind = ctypes.CFUNCTYPE(number, number)(("eglBindAPI", PLATFORM.EGL))
        make = ctypes.CFUNCTYPE(number, *[pointer] * 4)(("eglMakeCurrent", PLATFORM.EGL))
        make_ours = functools.partial(make, display, None, None, ctypes.cast(context._context, pointer))
        # The interface of a new thread is OpenGL ES.
        return lambda: bind(_EGL_OPENGL_API) and make_ours(), functools.partial(make, display, None, None, None)
    if backend == "osmesa":
        kinds = (pointer, pointer, number, ctypes.c_int, ctypes.c_int)
        make = ctypes.CFUNCTYPE(ctypes.c_ubyte, *kinds)(("OSMesaMakeCurrent", PLATFORM.OSMesa))
        height, width, _ = context._buffer.shape
        args = (ctypes.cast(context._context, pointer), context._buffer.ctypes.data, int(GL.GL_FLOAT), width, height)
        return functools.partial(make, *args), functools.partial(make, None, None, int(GL.GL_FLOAT), 0, 0)
    module = importlib.import_module(f"mujoco.{backend}")
    if backend == "glfw":
        return lambda: context.make_current() or True, functools.partial(module.glfw.make_context_current, None)
    # On macOS mujoco locks a context whenever it makes it current.
    unlock, make = module.cgl.CGLUnlockContext, module.cgl.CGLSetCurrentContext
    return lambda: context.make_current() or True, lambda: (unlock(context._context), make(None))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _remedy(backend: str) -> str:
    """Returns what to do about a backend that does not work, if this machine shows it; otherwise an empty string."""
    for name in ("PYOPENGL_PLATFORM", "MUJOCO_EGL_DEVICE_ID"):
        value = os.environ.get(name)
        if value and value != backend.lower():  # mujoco itself sets the former to the backend
            return f"; {name} is {value}: unset it, or set another"
    if sys.platform != "linux":
        return ""
    if backend.lower() not in ("egl", "osmesa"):
        return "; unset MUJOCO_GL, or set it to egl or osmesa"
    return "" if _has_libraries(backend.lower()) else f"; run: {INSTALL}"


def _device_name() -> str:
    from OpenGL import GL

    name = GL.glGetString(GL.GL_RENDERER)
    if name is None:
        raise RenderingError("no OpenGL context is current")
    return name.decode()


def _has_libraries(backend: str) -> bool:
    """Tells whether the libraries that ``egl`` or ``osmesa`` draws with are installed."""
    if backend == "egl":  # libEGL is not enough: PyOpenGL also needs libGL or libOpenGL
        return _egl_has_device() and (_loadable("libGL.so.1") or _loadable("libOpenGL.so.0"))
    return _loadable("libOSMesa.so.8") or _loadable("libOSMesa.so")


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
