"""Give MLX on Linux a real BLAS.

MLX's Linux wheel links the reference BLAS, which is some seventy times too slow. An OpenBLAS that is opened with global
symbols *before* `mlx.core` is imported takes over its matrix products; nothing is preloaded and nothing is installed
outside the environment. The OpenBLAS of `ngsolve-openblas` (x86-64, chooses its kernels at run time) or
`cmeel-openblas` (64-bit Arm) needs `libgfortran.so.5`, which a plain system lacks; MLX's own wheel carries one under
another name, so a copy with the expected name is opened from memory.

Not covered: a process that has imported `mlx.core` already keeps what it has, and is told so.

On an NVIDIA card MLX gathers kernels into CUDA graphs. An update of training is thousands of small kernels, and to build and look up
their graphs takes the host longer than to launch them one by one; MLX also ends the process when it has seen too many new graphs.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_FORTRAN = b"libgfortran.so.5"
_opened: list[ctypes.CDLL] = []
_backend: Blas | None = None


@dataclass(frozen=True, slots=True)
class Blas:
    """Which BLAS serves MLX's matrix products; `fast` is False for the reference BLAS."""

    description: str
    fast: bool


def prepare() -> Blas:
    """Open a fast BLAS for MLX once a process; call it before anything imports `mlx.core`."""
    global _backend
    os.environ.setdefault("MLX_USE_CUDA_GRAPHS", "0")
    if _backend is None:
        _backend = _choose()
    return _backend


def on_gpu() -> bool:
    """Return True where MLX computes on a GPU; asking loads MLX, so it is given its BLAS first."""
    prepare()
    import mlx.core as mx

    return bool(mx.default_device() == mx.Device(mx.gpu))


def openblas() -> ctypes.CDLL | None:
    """Return the OpenBLAS that MLX was given; None where there is none."""
    prepare()
    return next((library for library in reversed(_opened) if hasattr(library, "cblas_sgemm")), None)


def _choose() -> Blas:
    if sys.platform != "linux":
        return Blas("Accelerate", fast=True)
    if "mlx.core" in sys.modules:
        return Blas("MLX's own, imported before jessy could offer OpenBLAS", fast=False)
    for path in _candidates():
        library = _open(path)
        if library is not None:
            _opened.append(library)
            return Blas(_describe(library), fast=True)
    return Blas("the reference BLAS of MLX's wheel; install ngsolve-openblas for a faster one", fast=False)


def _candidates() -> Iterator[str]:
    yield from _packaged()
    yield "libopenblas.so.0"


def _packaged() -> Iterator[str]:
    spec = find_spec("ngsolve_openblas")
    if spec is not None and spec.submodule_search_locations:
        yield from (str(path) for path in sorted(Path(spec.submodule_search_locations[0]).glob("libopenblas*.so*")))
    if platform.machine() == "aarch64" or "avx512f" in _processor_flags():  # cmeel builds for one kind of processor
        for folder in map(Path, sys.path):
            path = folder / "cmeel.prefix" / "lib" / "libopenblas.so.0"
            if path.exists():
                yield str(path)


def _processor_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def _open(path: str) -> ctypes.CDLL | None:
    for with_fortran in (False, True):
        try:
            if with_fortran:
                _offer_fortran()
            return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    return None


def _offer_fortran() -> None:
    """Open the Fortran runtime that MLX's wheel carries under the name that OpenBLAS asks for."""
    spec = find_spec("mlx")
    if spec is None or not spec.submodule_search_locations:
        return
    for (
        package
    ) in spec.submodule_search_locations:  # mlx is a namespace: any folder of that name on the path is part of it
        libraries = Path(package).parent / "mlx_cpu.libs"
        _opened.extend(ctypes.CDLL(str(quadmath)) for quadmath in libraries.glob("libquadmath-*"))
        _opened.extend(_open_renamed(fortran, _FORTRAN) for fortran in libraries.glob("libgfortran-*"))


def _open_renamed(path: Path, name: bytes) -> ctypes.CDLL:
    own = path.name.encode() + b"\0"
    content = path.read_bytes().replace(own, name.ljust(len(own), b"\0"))
    descriptor = os.memfd_create(name.decode())
    try:
        os.write(descriptor, content)
        return ctypes.CDLL(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _describe(library: ctypes.CDLL) -> str:
    try:
        library.openblas_get_config.restype = ctypes.c_char_p
        config = library.openblas_get_config().decode("ascii", "replace")
        return f"{' '.join(config.split()[:2])}, {library.openblas_get_num_threads()} threads"
    except AttributeError:
        return "OpenBLAS"
