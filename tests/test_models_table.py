"""The table of bases in docs/models.md is the one that its command makes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from jessyfile.models.architectures import ARCHITECTURES
from models import DOUBLES, HEAD, PAGE, Proof, chats, rows, table_of, with_table

LINE = re.compile(
    r"\| .+ \| (real|real, by hand|double) \| (\w+) \| (?:GGUF|folder), [\d,]+ [kM] \| ([\d.]+) → ([\d.]+) \| [\d.]+ GB "
    r"\| ([\d,]+) of ([\d,]+) \| [\w-]+: equal(?: but: .+)? \|"
)
PROOF = Proof("Name", "real", "llama", "GGUF", 1_234_567, 4.0, 3.0, 2_500_000_000, 1000, 1000, "chatml", ("no dates",))


def test_every_base_that_the_command_knows_is_in_the_table_in_its_order() -> None:
    table = table_of(PAGE.read_text("utf-8"))
    assert list(table) == [row.name for row in rows()]
    for row in rows():
        found = LINE.fullmatch(table[row.name])
        assert found is not None, table[row.name]
        assert found[1] == row.kind
        assert found[5] == found[6], "token ids differ from llama.cpp's"
        assert float(found[4]) < float(found[3]), "the loss does not fall"


def test_every_architecture_has_a_double() -> None:
    assert {double.model_type for double in DOUBLES.values()} == set(ARCHITECTURES)


def test_every_base_is_compared_with_a_template_that_its_authors_publish() -> None:
    assert {row.template for row in rows()} <= set(chats.published())


def test_the_command_writes_what_the_table_holds() -> None:
    line = "| Name | real | llama | GGUF, 1 M | 4.00 → 3.00 | 2.5 GB | 1,000 of 1,000 | chatml: equal but: no dates |"
    assert PROOF.line() == line
    assert LINE.fullmatch(line)
    page = PAGE.read_text("utf-8")
    assert with_table(page, list(table_of(page).values())) == page
    assert table_of(with_table(page, [line])) == {"Name": line}
    assert HEAD[0].count("|") == line.count("|")


def test_a_base_whose_ids_or_loss_are_wrong_does_not_hold() -> None:
    from dataclasses import replace

    assert PROOF.held
    assert not replace(PROOF, equal=999).held
    assert not replace(PROOF, last_loss=4.0).held
