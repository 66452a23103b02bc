"""The models that are served: which, each behind its desk, and what happens when another one is promoted under their name."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import EngineError, JessyError
from jessyfile.export.registry import LATEST, entry_file, lookup, model_id, registered, registered_names
from jessyfile.serve.desk import Desk, Shift, Speaker
from jessyfile.serve.faults import no_model

if TYPE_CHECKING:
    from jessyfile.export.registry import Registration
    from jessyfile.serve.metrics import Labels
    from jessyfile.serve.served import ServedFacts

_LOG = logging.getLogger("jessy.serve")
Making = Callable[["Registration"], Speaker]  # loads a registered model; raises JessyError
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ServedName:
    """A model that is served: its name and tag."""

    name: str
    tag: str = LATEST


class House:
    """Every served model behind its desk. `make` loads one; `promoted` is called with what was taken while the server ran.

    Without names, every promoted model of the project is served, also one that is promoted later.
    """

    def __init__(
        self,
        root: Path,
        wanted: Sequence[ServedName],
        make: Making,
        queue: int,
        promoted: Callable[[ServedFacts], None] = lambda _: None,
    ) -> None:
        """Take what is served; nothing is loaded yet.

        Args:
            root: the project's root folder.
            wanted: the models; empty for every promoted one.
            make: loads a registered model.
            queue: how many questions may wait for each.
            promoted: told of a model that was taken while the server ran.
        """
        self.root, self._wanted, self._make, self._queue = root, tuple(wanted), make, queue
        self._promoted = promoted
        self._desks: dict[ServedName, Desk] = {}
        self._stamps: dict[ServedName, object] = {}
        self._relieved: list[Shift] = []
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def open(self) -> None:
        """Load every model. Raises EngineError where there is none, and whatever keeps one from being loaded."""
        wanted = self._now_wanted()
        if not wanted:
            raise EngineError("this project has no promoted model", hint="run `jessy apply RECIPE` first")
        for one in wanted:
            self._stamps[one] = self._stamp(one)
            self._take(one, registered(self.root, one.name, one.tag))

    def watch(self, seconds: float = 1.0) -> None:
        """Look every so many seconds, in a thread, for a model that was promoted."""
        self._every = seconds
        self._watcher.start()

    @property
    def facts(self) -> list[ServedFacts]:
        """What the served models are."""
        return [facts for desk in self._desks.values() if (facts := desk.facts) is not None]

    @property
    def desks(self) -> list[Desk]:
        """Every desk."""
        return list(self._desks.values())

    def desk(self, called: str) -> tuple[Desk, ServedFacts]:
        """Return the desk of a model by the name that a client calls it, and what it is. Raises RefusedError for one that is not served."""
        for desk in self._desks.values():
            facts = desk.facts
            if facts is not None and called in (facts.called, facts.tagged):
                return desk, facts
        raise no_model(called, [facts.called for facts in self.facts])

    def look(self) -> None:
        """Take what was promoted since the last look. A model that cannot be loaded is said, and the one before it goes on answering."""
        for one in self._now_wanted():
            stamp = self._stamp(one)
            if stamp == self._stamps.get(one):
                continue
            self._stamps[one] = stamp
            try:
                self._look_at(one)
            except JessyError as error:
                _LOG.warning("%s:%s is not taken: %s", one.name, one.tag, error.message)
        self._relieved = [shift for shift in self._relieved if not shift.join(0)]

    def _look_at(self, one: ServedName) -> None:
        entry = lookup(self.root, one.name, one.tag)
        desk = self._desks.get(one)
        if entry is None or (desk is not None and desk.facts is not None and desk.facts.id == model_id(entry)):
            return
        self._take(one, entry)
        facts = self._desks[one].facts
        if facts is not None:
            _LOG.warning("%s was promoted and answers from now on (%s)", facts.called, facts.digest[:12])
            self._promoted(facts)

    def cut(self) -> None:
        """End every answer at its next word."""
        for desk in self.desks:
            desk.cut()

    def close(self) -> None:
        """Take no more questions, end the watch, and let every model go."""
        self._stop.set()
        for desk in self.desks:
            desk.close()
        until = time.monotonic() + _END_SECONDS
        for desk in self.desks:
            desk.end(max(0.0, until - time.monotonic()))

    def _take(self, one: ServedName, entry: Registration) -> None:
        speaker = self._make(entry)
        desk = self._desks.get(one) or Desk(speaker.facts.called, self._queue)
        relieved = desk.take(speaker)
        if relieved is not None:
            self._relieved.append(relieved)
        self._desks = {**self._desks, one: desk}  # replaced as a whole: it is read by others meanwhile

    def _now_wanted(self) -> Sequence[ServedName]:
        return self._wanted or [ServedName(name) for name in registered_names(self.root)]

    def _stamp(self, one: ServedName) -> object:
        try:
            found = entry_file(self.root, one.name, LATEST if one.tag == "previous" else one.tag).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.look()
            except Exception:  # noqa: BLE001 (the next look may find everything in order)
                _LOG.exception("the registrations cannot be read")


def by_desk(house: House, read: Callable[[Desk], int]) -> Callable[[], dict[Labels, float]]:
    """Return what reads a number of every desk, as a gauge labelled with the models' names."""
    return lambda: {(("model", desk.name),): float(read(desk)) for desk in house.desks}
