"""Say whether this machine can render off screen: EGL with a device, or OSMesa. Standard library only.

Exit status 0 and one line naming what was found, or 1 and one line naming what is missing. It runs before
anything is installed, so it asks the libraries through ctypes, as MuJoCo's two headless backends do.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

EGL_PLATFORM_DEVICE_EXT = 0x313F
OSMESA_RGBA = 0x1908
MAX_DEVICES = 32


def load(*names: str) -> ctypes.CDLL | None:
    """The first of the shared libraries that loads."""
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def egl() -> str | None:
    """What is wrong with EGL, or None if one of its devices initialises."""
    lib = load("libEGL.so.1", "libEGL.so")
    if lib is None:
        return "EGL: libEGL.so.1 cannot be loaded"
    if load("libGL.so.1", "libOpenGL.so.0", "libGL.so") is None:
        return "EGL: no libGL.so.1 or libOpenGL.so.0 beside it"
    lib.eglGetProcAddress.restype = ctypes.c_void_p
    lib.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    query = lib.eglGetProcAddress(b"eglQueryDevicesEXT")
    display = lib.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query or not display:
        return "EGL: no device extension"
    devices = (ctypes.c_void_p * MAX_DEVICES)()
    count = ctypes.c_int(0)
    query_devices = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(query)
    get_display = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(display)
    lib.eglInitialize.restype = ctypes.c_uint
    lib.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    lib.eglTerminate.argtypes = [ctypes.c_void_p]
    query_devices(MAX_DEVICES, devices, ctypes.byref(count))
    for device in devices[: count.value]:
        handle = get_display(EGL_PLATFORM_DEVICE_EXT, device, None)
        if handle and lib.eglInitialize(handle, None, None):
            lib.eglTerminate(handle)
            return None
    return f"EGL: none of its {count.value} devices initialises"


def osmesa() -> str | None:
    """What is wrong with OSMesa, or None if it makes a context."""
    lib = load("libOSMesa.so.8", "libOSMesa.so")
    if lib is None:
        return "OSMesa: libOSMesa.so.8 cannot be loaded"
    lib.OSMesaCreateContext.restype = ctypes.c_void_p
    lib.OSMesaCreateContext.argtypes = [ctypes.c_uint, ctypes.c_void_p]
    lib.OSMesaDestroyContext.argtypes = [ctypes.c_void_p]
    context = lib.OSMesaCreateContext(OSMESA_RGBA, None)
    if not context:
        return "OSMesa: makes no context"
    lib.OSMesaDestroyContext(context)
    return None


def main() -> int:
    """Try EGL, then OSMesa."""
    if sys.platform != "linux":
        print(f"MuJoCo brings its own renderer on {sys.platform}")
        return 0
    backends: dict[str, Callable[[], str | None]] = {"EGL": egl, "OSMesa": osmesa}
    problems = []
    for name, probe in backends.items():
        problem = probe()
        if problem is None:
            print(name)
            return 0
        problems.append(problem)
    print("; ".join(problems))
    return 1


if __name__ == "__main__":
    sys.exit(main())
