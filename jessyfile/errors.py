"""The one family of errors that jessy raises.

    JessyError                     exit 1 unless said otherwise
    ├── RecipeError                the recipe has mistakes; carries the diagnostics
    ├── ProjectError               the project folder, a path, a setting outside the recipe
    │   ├── LockedError            another process is writing
    │   ├── StateError             the state is newer or cannot be read
    │   ├── StalePlanError         a saved plan is out of date, or a file changed while a step read it
    │   ├── PreflightError         something is known to be wrong before any step runs
    │   └── ConsentError           the recipe sends something to a server that nobody allowed
    ├── StorageError               the disk: full, read-only, unreadable
    │   └── DamagedError           an object in the store is not what its hash says
    ├── ModelError                 a base model is missing, malformed or of an unknown kind
    ├── DatasetError               rows are malformed, missing, too few, or leak
    │   └── TeacherError           the teacher's server failed or was refused
    ├── FeedbackError              what somebody said of an answer cannot be kept, or be learned from
    ├── TrainingError
    │   ├── InsufficientMemoryError
    │   └── ConvergenceError
    ├── ExportError                the merged model, the GGUF or the Modelfile is not what was trained
    │   └── ModelfileError         a Modelfile's text is not one that Ollama reads
    ├── EngineError                an engine failed to load, answer or register
    │   └── ContextFullError       a conversation does not fit into the context window
    ├── VoiceError                 a sound cannot be heard, or a text not be spoken
    ├── EvaluationError            a suite or a criterion cannot be judged
    └── Interrupted                Ctrl-C, SIGTERM or SIGHUP; exit 130, resumable

A user's mistakes inside a recipe are values (`language.diagnostics`), not exceptions; `RecipeError` only carries
them over the border of a command. Every error has a stable code, one sentence, and a hint that names the fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import ClassVar, Protocol


class Exit(IntEnum):
    """What a command's exit code says; the documentation's table has the same rows."""

    DONE = 0
    FAILED = 1
    CHANGES = 2
    WITHHELD = 3
    USAGE = 64
    INTERRUPTED = 130


class JessyError(Exception):
    """Base of every error that jessy raises on purpose.

    `message` is one lower-case sentence without a full stop; `hint` names the fix.
    """

    code: ClassVar[str] = "E000"
    exit_code: ClassVar[int] = Exit.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecipeError(JessyError):
    """A recipe cannot be used; `diagnostics` says why, each with file, line and column."""

    code = "E100"

    def __init__(self, message: str, diagnostics: Sequence[object] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = tuple(diagnostics)


class ProjectError(JessyError):
    """The project folder, a path or an outside setting is not usable."""

    code = "E200"


class LockedError(ProjectError):
    """Another process is writing; the message says who, what and since when."""

    code = "E201"


class StateError(ProjectError):
    """The state file is newer than this jessy, or cannot be read."""

    code = "E202"


class StalePlanError(ProjectError):
    """A saved plan is out of date, or a file changed while a step was reading it."""

    code = "E203"


class PreflightError(ProjectError):
    """Something is known to be wrong before any step runs; `findings` says what, each with its fix."""

    code = "E204"

    def __init__(self, message: str, findings: Sequence[object] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)


class ConsentError(ProjectError):
    """The recipe would send texts or a key to a server, and nothing outside the recipe allows it."""

    code = "E205"


class StorageError(JessyError):
    """The disk refused: full, read-only, unreadable, too many open files."""

    code = "E300"


class DamagedError(StorageError):
    """A stored object is not what its hash says."""

    code = "E301"


class ModelError(JessyError):
    """A base model is missing, malformed, or of a kind jessy does not know."""

    code = "E400"


class DatasetError(JessyError):
    """Rows are malformed, missing, too few, or leak into the evaluation."""

    code = "E500"


class TeacherError(DatasetError):
    """The teacher's server failed, or too little of what it wrote was accepted."""

    code = "E501"


class FeedbackError(JessyError):
    """What somebody said of an answer cannot be kept, is not there, or cannot be learned from."""

    code = "E510"


class TrainingError(JessyError):
    """Training could not start or go on."""

    code = "E600"
    ways: ClassVar[tuple[str, ...]] = ()

    def handle(self) -> str:
        """Return what to do about it, one way a line, the first to be tried first."""
        return "\n".join(self.ways) or self.hint or self.message


class InsufficientMemoryError(TrainingError):
    """The model, its adapter and one micro-batch do not fit into memory."""

    code = "E601"
    ways = (
        "make the batch smaller: `batch_size` in TRAIN",
        "make the adapter's rank smaller: `rank` in LORA",
        "close other applications",
    )


class ConvergenceError(TrainingError):
    """The loss is not finite, diverges, or stays on a plateau."""

    code = "E602"
    ways = (
        "lower the learning rate: `learning_rate` in TRAIN",
        "look at the data's quality: `jessy data lint` names faults",
        "change how often every row is seen: `epochs` in TRAIN",
    )


class ExportError(JessyError):
    """What was exported is not what was trained, or cannot be written."""

    code = "E700"


class ModelfileError(ExportError):
    """A Modelfile's text is not one that Ollama reads; the message names the line."""

    code = "E701"


class EngineError(JessyError):
    """An engine could not load a model, answer, or register one."""

    code = "E800"


_TURN = 16  # tokens around the text of a turn, at most


class ContextFullError(EngineError):
    """A conversation has more tokens than the context window: `tokens`, 0 where the engine does not say how many."""

    code = "E801"

    def __init__(self, message: str, tokens: int = 0, *, hint: str = "raise PARAMETER num_ctx") -> None:
        super().__init__(message, hint=hint)
        self.tokens = tokens

    def outgrows(self, room: int, texts: Iterable[str]) -> bool:
        """Return whether the conversation does not fit into `room` tokens whichever of these texts it goes without: a token is a byte of
        a text at least, or marks a turn. Counting a long conversation takes seconds, and is not done again in vain."""
        return self.tokens - room > sum(len(text.encode("utf-8", "replace")) + _TURN for text in texts)


class VoiceError(JessyError):
    """A sound cannot be heard or a text not be spoken: no such file, voice or model, or the extra `voice` is missing."""

    code = "E810"


class EvaluationError(JessyError):
    """A suite or a criterion cannot be judged."""

    code = "E900"


class Stop(Protocol):
    """Whether the user asked to stop; a long step asks between two units of work.

    A step that was told to stop raises Interrupted: whatever it returns instead is not committed.
    """

    def requested(self) -> bool:
        """Return True once the first Ctrl-C, SIGTERM or SIGHUP has come."""


class Interrupted(JessyError):
    """The user or the system asked to stop; what was done is saved and the run resumes."""

    code = "E130"
    exit_code = Exit.INTERRUPTED
