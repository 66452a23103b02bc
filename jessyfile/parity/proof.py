"""The proof that comes with an adapter: what parity found of one file, named by its digest. The same bytes answer the same.

Whoever publishes an adapter proves the file that is made of it once, and writes the proof beside it. Where the same file is made again, its
numbers are held against base and adapter, and the engine's tokens against the model's, as ever; the answers, which take most of the time, are
those of the proof. A file of other bytes is proved as if there were none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.errors import StateError
from jessyfile.fsops import hash_file, write_text
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import ParityFacts
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe

PROOF = "proof.json"
_SAID = (
    "the answers of these very bytes were proved when the adapter was published; "
    "numbers and tokens were held against base and adapter here"
)


@dataclass(frozen=True, slots=True)
class Proof:
    """`gguf` is the SHA-256 of the file that was proved, `parity` what was found."""

    gguf: str
    parity: ParityFacts


def proof_files(recipe: Recipe, root: Path) -> tuple[Path, ...]:
    """Return the proof beside the adapter that LORA names, if there is one."""
    path = root / recipe.lora.trained / PROOF if recipe.lora.trained else None
    return (path,) if path is not None and path.is_file() else ()


def proved(recipe: Recipe, root: Path, gguf: Path) -> ParityFacts | None:
    """Return what was proved of a file; None without a proof that can be read, and where it is of other bytes."""
    for path in proof_files(recipe, root):
        try:
            proof = load_as(Proof, path)
        except StateError:
            continue
        if proof.gguf == hash_file(gguf):
            return replace(proof.parity, notes=(*proof.parity.notes, _SAID))
    return None


def write_proof(folder: Path, gguf: Path, found: ParityFacts) -> Path:
    """Write what parity found of a file beside an adapter; return the proof's path."""
    write_text(folder / PROOF, readable(Proof(hash_file(gguf), found)))
    return folder / PROOF
