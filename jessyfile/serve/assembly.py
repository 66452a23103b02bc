"""A service put together: the models, the limits, what is counted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.serve.house import House, Making, ServedName, by_desk
from jessyfile.serve.metrics import ServeMetrics
from jessyfile.serve.service import Service
from jessyfile.serve.voice_desk import VoiceDesk, usual_voice

if TYPE_CHECKING:
    from jessyfile.serve.metrics import Labels
    from jessyfile.serve.settings import Access, Limits

_STATM = Path("/proc/self/statm")


def assembled(
    root: Path,
    wanted: Sequence[ServedName],
    make: Making,
    limits: Limits,
    access: Access,
    *,
    log_words: bool = False,
    voice: VoiceDesk | None = None,
) -> Service:
    """Return a service whose models are not loaded yet.

    Args:
        root: the project's root folder.
        wanted: the models that are served; empty for every promoted one.
        make: loads a registered model.
        limits: how much one client may take.
        access: who may ask.
        log_words: whether questions and answers stand in the access log.
        voice: what hears and speaks; the usual models unless given.

    Returns:
        The service.
    """
    metrics = ServeMetrics()
    house = House(
        root, wanted, make, limits.queue, lambda facts: metrics.count("jessy_promotions_total", model=facts.called)
    )
    metrics.gauge("jessy_queue_waiting", "Questions that wait, by model.", by_desk(house, lambda desk: desk.waiting))
    metrics.gauge("jessy_running", "Questions that are answered, by model.", by_desk(house, lambda desk: desk.running))
    metrics.gauge("process_resident_memory_bytes", "Resident memory.", _resident)
    return Service(house, limits, access, metrics, log_words, voice=voice or usual_voice(bound=limits.queue))


def _resident() -> dict[Labels, float]:
    """Return the resident memory in bytes, where the system tells it as Linux does."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return {}
    return {(): float(pages * os.sysconf("SC_PAGE_SIZE"))}
