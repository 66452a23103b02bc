"""The watch itself: waits for events, settles them, and does what the machine decides."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jessyfile.dataset.places import feedback_folder
from jessyfile.errors import StalePlanError
from jessyfile.planning.command_line import Call
from jessyfile.planning.plan_json import save_plan
from jessyfile.project import jessy_folder
from jessyfile.text.fit import terminal_width
from jessyfile.watch.folders import Folders
from jessyfile.watch.job import Job
from jessyfile.watch.line import lines
from jessyfile.watch.machine import Deed, EndRun, LookAgain, Machine, OnChange, Outcome, Quit, Start
from jessyfile.watch.plan_now import BrokenRecipe, Compile, Load, PlannedRecipe, plan_now

_POLL = 0.5
_OUTCOMES: dict[int, Outcome] = {0: "done", 3: "withheld", 130: "interrupted"}


def apply_command(plan: Path) -> list[str]:
    """Return the command that applies a saved plan and reports as JSON lines."""
    return [sys.executable, "-m", "jessyfile.cli", "apply", str(plan), "--json"]


class Session:
    """One `jessy watch`.

    `load` and `compile_steps` make recipe and steps anew at every look; `say` prints a line that stays, `draw` the
    lines that are redrawn; `command` makes a job's command line from the saved plan's path.
    """

    def __init__(
        self,
        root: Path,
        call: Call,
        load: Load,
        compile_steps: Compile,
        *,
        on_change: OnChange = "queue",
        say: Callable[[str], None],
        draw: Callable[[Sequence[str]], None],
        command: Callable[[Path], Sequence[str]] = apply_command,
    ) -> None:
        """Begin to watch the recipe's folder.

        Args:
            root: the project's root folder.
            call: the recipe and the options it was called with.
            load: reads the recipe anew at every look.
            compile_steps: returns the steps of a recipe.
            on_change: what a change does while a job runs: `queue`, `restart` or `ask`.
            say: prints a line that stays.
            draw: draws the lines that are redrawn.
            command: returns a job's command line from the saved plan's path.
        """
        self.root, self.call, self.machine = root, call, Machine(on_change)
        self._load, self._compile = load, compile_steps
        self._say, self._draw, self._command = say, draw, command
        self._woken: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._folders = Folders(lambda: self._woken.put("event"))
        self._job: Job | None = None
        self._seen: PlannedRecipe | None = None
        self._unfit: BrokenRecipe | None = None
        self._debounce = 1.0
        self._last_event: float | None = None
        self.ended = False
        self._folders.watch({Path(call.recipe).resolve().parent})

    def run(self) -> None:
        """Watch until `q` or a signal; a running job is asked to save and stop first."""
        self.look()
        try:
            while not self.ended:
                self.turn(_POLL)
        finally:
            self.close()

    def close(self) -> None:
        """Stop what runs and stop watching."""
        if self._job is not None:
            self._job.stop()
            self._job.join()
        self._folders.close()

    def press(self, key: str) -> None:
        """Hand in a key, from any thread."""
        self._woken.put(key)

    def turn(self, wait: float) -> None:
        """Wait for the next thing to happen, at most `wait` seconds, and deal with it."""
        now = self._clock()
        self._hear(self._due(wait, now))
        now = self._clock()
        if self._folders.mend():
            self._last_event = now
        if self._settled(now):
            self._last_event = None
            self.look()
        if self._job is not None and self._job.code is not None:
            self._end(self._job)
        self._do(self.machine.tick(now))
        self._redraw()

    def quiet(self) -> bool:
        """Whether nothing runs, waits, or is still to be settled."""
        return self._job is None and self.machine.waiting is None and self._last_event is None and self._woken.empty()

    def look(self) -> None:
        """Plan the recipe as it is now, and let the machine decide."""
        found = plan_now(self._load, self._compile)
        if isinstance(found, BrokenRecipe):
            if found != self._unfit:
                self._say(found.text)
            self._unfit = found
            return
        if found.kept_back and found.kept_back != (self._seen.kept_back if self._seen else None):
            self._say(found.kept_back)
        self._unfit, self._seen = None, found
        watch = found.recipe.watch
        self._debounce, self.machine.max_retrains, self.machine.per = watch.debounce, watch.max_retrains, watch.per
        self._folders.watch({path.parent for path in found.files}.union(feedback_folder(found.recipe, self.root)))
        self._do(self.machine.saved(found.revision, self._clock()))

    def _clock(self) -> float:
        return time.time()

    def _due(self, wait: float, now: float) -> float:
        return min(wait, max(0.0, self._last_event + self._debounce - now)) if self._last_event else wait

    def _hear(self, wait: float) -> None:
        try:
            heard = self._woken.get(timeout=wait)
            while True:
                if heard == "event":
                    self._last_event = self._clock()
                elif heard != "job":
                    self._do(self.machine.key(heard, self._clock()))
                heard = self._woken.get_nowait()
        except queue.Empty:
            return

    def _settled(self, now: float) -> bool:
        if self._last_event is None or now - self._last_event < self._debounce:
            return False
        # git holds this lock while it writes many files: half a checkout is a recipe that no one wrote
        return not (self.root / ".git" / "index.lock").exists()

    def _do(self, deeds: Sequence[Deed]) -> None:
        for deed in deeds:
            if isinstance(deed, Start):
                self._start(deed)
            elif isinstance(deed, EndRun) and self._job is not None:
                self._job.stop()
            elif isinstance(deed, LookAgain):
                self.look()
            elif isinstance(deed, Quit):
                self.ended = True

    def _start(self, deed: Start) -> None:
        if self._seen is None:
            return
        plan = jessy_folder(self.root) / "watch" / "plan.json"
        save_plan(plan, self._seen.plan, self.call)
        self._say(f"{deed.revision}: {deed.revision.effect}, starting")
        self._job = Job(self._command(plan), lambda: self._woken.put("job"))

    def _end(self, job: Job) -> None:
        code, self._job = job.join(), None
        running = self.machine.running
        stale = job.failure is not None and job.failure.code == StalePlanError.code
        outcome = "stale" if stale else _OUTCOMES.get(code, "failed")
        self._say(f"{running}: {_ending(outcome, job, code)}")
        self._do(self.machine.finished(outcome, self._clock()))

    def _redraw(self) -> None:
        files = len(self._seen.files) - 1 if self._seen else 0
        step = self._job.step if self._job else None
        width = terminal_width()
        # the last column stays free: a terminal may break a line that fills it
        room = width - 1 if width is not None else None
        self._draw(lines(self.machine, self.call.recipe, files, step, self._clock(), room))


def _ending(outcome: Outcome, job: Job, code: int) -> str:
    if outcome == "withheld":
        return f"done, not promoted: {job.withheld}; latest stays as it was"
    if outcome == "failed":
        if job.failure is not None:
            return f"error[{job.failure.code}]: {job.failure.message}"
        return f"failed (exit {code}) {job.errors[0] if job.errors else ''}".rstrip()
    return {"done": "done", "interrupted": "stopped; what it did is kept", "stale": "changed before it started"}[
        outcome
    ]
