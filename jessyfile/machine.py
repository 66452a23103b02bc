"""What the machine has: processors and memory; and freeing memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Return this machine's physical memory in bytes, 0 when it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


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
