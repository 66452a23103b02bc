"""What the machine has: processors, memory, the chip that MLX uses; and freeing memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import sys
from collections.abc import Iterator

_CUDA_BACKENDS = ("mlx-cuda-13", "mlx-cuda-12", "mlx-cuda")
_WAITING = {"GOMP_SPINCOUNT": "300"}  # read by GCC's OpenMP when it is loaded; its own is 300,000, milliseconds
_TOLD_ALREADY = (*_WAITING, "OMP_WAIT_POLICY")


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Return this machine's physical memory in bytes, 0 when it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


@contextlib.contextmanager
def threads_that_rest() -> Iterator[None]:
    """Let the threads of a library that is loaded in the block sleep after microseconds of waiting for each other. GCC's OpenMP
    spins for milliseconds unless told otherwise, and beside a busy process those who spin take the time of the one that all wait
    for. What the environment says already stays.
    """
    more = {} if any(name in os.environ for name in _TOLD_ALREADY) else _WAITING
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:  # programs that are started from here are told nothing
            os.environ.pop(name, None)


def described() -> str:
    """Return this machine in a few words: `Linux x86_64, 2 processors, 24 GB, CPU`."""
    size = memory()
    told = f", {size / 1e9:.0f} GB" if size else ""
    return f"{platform.system()} {platform.machine()}, {cores()} processors{told}, {chip()}"


def give_memory_back() -> None:
    """Let go of cycles, of MLX's freed arrays, and of glibc's freed pages: the process goes on to load other models."""
    gc.collect()
    # asked for only where something loaded it: planning itself knows no MLX
    mlx = sys.modules.get("mlx.core")
    if mlx is not None:
        mlx.clear_cache()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def chip() -> str:
    """Return what MLX computes on here, without loading it: an Apple chip by its name, `CUDA`, or `CPU`."""
    if sys.platform == "darwin":
        return _brand() or "CPU"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1")
    card = any(map(os.path.exists, ("/dev/nvidiactl", "/dev/dxg")))  # the latter under Windows
    return "CUDA" if card and not hidden and any(map(_installed, _CUDA_BACKENDS)) else "CPU"


def _brand() -> str:
    """Return what macOS calls the processor: `Apple M2 Pro`."""
    name, length = ctypes.create_string_buffer(128), ctypes.c_size_t(128)
    failed = ctypes.CDLL(None).sysctlbyname(b"machdep.cpu.brand_string", name, ctypes.byref(length), None, 0)
    return "" if failed else name.value.decode("utf-8", "replace")


def _installed(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False
