"""How busy the chip is that trains: NVIDIA's through NVML, Apple's through IOKit, a CPU's by this process's own time.

Nothing here needs more rights than training itself, and nothing fails it: what a driver does not say is None.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jessyfile.machine import cores

_NVML = ("libnvidia-ml.so.1", "libnvidia-ml.so", "nvml.dll")
_GPU_SAMPLES = 1  # NVML_GPU_UTILIZATION_SAMPLES
_MOST_SAMPLES = 512
_LOW = 0xFFFFFFFF  # a sample's value is a whole number in the lower half of a union of eight bytes
_IOREG = ("/usr/sbin/ioreg", "-r", "-d", "1", "-c", "IOAccelerator")
_APPLE = re.compile(rb'"Device Utilization %"\s*=\s*(\d+)')
_APART = 1.0  # seconds between two questions to a program of the system
_SAMPLED = 0.25  # seconds between two to NVML: it takes milliseconds, an update of a small model a few dozen

Share = float | None


@dataclass(slots=True)
class Utilization:
    """How busy GPU and CPU were since they were last asked."""

    on_gpu: bool
    _gpu: Callable[[], Share] = field(init=False)
    _wall: float = field(default_factory=time.perf_counter)
    _own: float = field(default_factory=time.process_time)

    def __post_init__(self) -> None:
        self._gpu = _gpu_gauge() if self.on_gpu else _unknown

    def gpu(self) -> Share:
        """Return the share of time in which the GPU computed; None without one, or where its driver does not say."""
        return self._gpu()

    def forget(self) -> None:
        """Let what follows count alone."""
        if isinstance(self._gpu, _Nvidia):
            self._gpu.forget()
        self.cpu()

    def cpu(self) -> Share:
        """Return the share of this machine's processors that the process used."""
        wall, own = time.perf_counter(), time.process_time()
        passed, used = wall - self._wall, own - self._own
        self._wall, self._own = wall, own
        return min(used / (passed * cores()), 1.0) if passed > 0 else None


def _unknown() -> Share:
    return None


def _gpu_gauge() -> Callable[[], Share]:
    return _Apple() if sys.platform == "darwin" else _nvidia()


@dataclass(slots=True)
class _Apple:
    """Asks the I/O registry, at most once a second."""

    _asked: float = -_APART
    _last: Share = None

    def __call__(self) -> Share:
        if time.monotonic() - self._asked >= _APART:
            self._asked, self._last = time.monotonic(), apple_share(_ioreg())
        return self._last


def _ioreg() -> bytes:
    try:
        return subprocess.run(_IOREG, capture_output=True, timeout=2, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return b""


def apple_share(registry: bytes) -> Share:
    """Return the busiest accelerator's share in what `ioreg` prints; None where it says nothing."""
    found = [int(number) for number in _APPLE.findall(registry)]
    return min(max(found), 100) / 100 if found else None


class _Sample(ctypes.Structure):
    _fields_ = (("when", ctypes.c_ulonglong), ("value", ctypes.c_ulonglong))


class _Rates(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


@dataclass(slots=True)
class _Nvidia:
    """Asks the driver for what it sampled since the last question, and where it keeps no samples for its last reading."""

    library: ctypes.CDLL
    device: ctypes.c_void_p
    _since: int = 0
    _last: Share = None
    _asked: float = -_SAMPLED

    def __call__(self) -> Share:
        if time.monotonic() - self._asked < _SAMPLED:
            return self._last
        self._asked = time.monotonic()
        found = self._samples()
        if found:
            self._since = found[-1].when
            self._last = min(sum(one.value & _LOW for one in found) / len(found), 100) / 100
        elif self._last is None:
            return self._reading()
        return self._last

    def forget(self) -> None:
        """Ask only for what comes from now on, and not before there is something."""
        self._since = max((one.when for one in self._samples()), default=self._since)
        self._last, self._asked = None, time.monotonic()

    def _samples(self) -> list[_Sample]:
        count, kind = ctypes.c_uint(_MOST_SAMPLES), ctypes.c_uint()
        buffer = (_Sample * _MOST_SAMPLES)()
        failed = self.library.nvmlDeviceGetSamples(
            self.device, _GPU_SAMPLES, ctypes.c_ulonglong(self._since), ctypes.byref(kind), ctypes.byref(count), buffer
        )
        return [] if failed else sorted(buffer[: count.value], key=lambda one: one.when)

    def _reading(self) -> Share:
        rates = _Rates()
        failed = self.library.nvmlDeviceGetUtilizationRates(self.device, ctypes.byref(rates))
        return None if failed else min(rates.gpu, 100) / 100


def _nvidia() -> Callable[[], Share]:
    """Return the gauge of the first card that this process may see: MLX computes on it."""
    library = _library()
    if library is None or library.nvmlInit_v2():
        return _unknown
    device, first = ctypes.c_void_p(), os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    if first.isascii() and first.isdigit():
        failed = library.nvmlDeviceGetHandleByIndex_v2(int(first), ctypes.byref(device))
    else:
        failed = library.nvmlDeviceGetHandleByUUID(first.encode(), ctypes.byref(device))
    if failed:
        return _unknown
    gauge = _Nvidia(library, device)
    gauge.forget()  # what was sampled before the training began is not its own
    return gauge


def _library() -> ctypes.CDLL | None:
    for name in _NVML:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
