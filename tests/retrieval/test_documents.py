"""Which files are documents, and what is said of those that are none: by name, and by line where one is to blame."""

from __future__ import annotations

import os
import unicodedata

import pytest

from jessyfile.retrieval.documents import LARGEST, document_files, read_documents
from jessyfile.retrieval.passage_index import PassageIndex
from jessyfile.retrieval.passages import passages


@pytest.fixture
def root(tmp_path):
    for name in (
        "notes/a.md",
        "notes/in/b.txt",
        "notes/in/deep/c.MD",
        "notes/d.pdf",
        "notes/.hidden/e.md",
        "other/f.md",
    ):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# Başlık\n\nbir cümle", "utf-8")
    return tmp_path / "project"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("notes", ["notes/a.md", "notes/in/b.txt", "notes/in/deep/c.MD"]),
        ("notes/**/*.md", ["notes/a.md"]),
        ("notes/**/*.MD", ["notes/in/deep/c.MD"]),
        ("notes/*.md", ["notes/a.md"]),
        ("notes/**", ["notes/a.md", "notes/in/b.txt", "notes/in/deep/c.MD"]),
        ("*/*.md", ["notes/a.md", "other/f.md"]),
        ("notes/in/?.txt", ["notes/in/b.txt"]),
        ("notes/[ab].md", ["notes/a.md"]),
        ("other/f.md", ["other/f.md"]),
        (".", ["notes/a.md", "notes/in/b.txt", "notes/in/deep/c.MD", "other/f.md"]),
        ("nowhere/**/*.md", []),
    ],
)
def test_a_pattern_names_files_of_a_documents_kind(root, pattern, names):
    assert [path.relative_to(root).as_posix() for path in document_files(pattern, root)] == names


def test_a_name_is_found_however_its_letters_are_composed(root):
    (root / "notes" / unicodedata.normalize("NFD", "çiçek.md")).write_text("gül", "utf-8")
    assert len(document_files(unicodedata.normalize("NFC", "notes/çiç*.md"), root)) == 1


def test_a_link_out_of_the_project_is_passed_over_and_one_inside_is_read_once(root):
    (root.parent / "secret.md").write_text("gizli", "utf-8")
    (root / "notes" / "out.md").symlink_to(root.parent / "secret.md")
    (root / "notes" / "zz.md").symlink_to(root / "notes" / "a.md")
    (root / "notes" / "loop").symlink_to(root / "notes")
    assert [path.name for path in document_files("notes/**/*.md", root)] == ["a.md"]
    read = read_documents("notes/**/*.md", root)
    assert read.passed_over == ("`notes/out.md` is a link that leads out of the project",)
    assert not any("gizli" in one.text for one in read.passages)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"bir\niki \xff\n", "`notes/x.md:2` is not UTF-8"),
        ("bir".encode("utf-16"), "`notes/x.md` is UTF-16"),
        (b"\x89PNG\0\0", "`notes/x.md` is not a text"),
        (b"a" * (LARGEST + 1), "`notes/x.md` has more than 4 MiB"),
        (b"bir\n\n<end_of_turn> iki", "`notes/x.md:3` holds `<end_of_turn>`"),
    ],
    ids=["latin-1", "utf-16", "binary", "huge", "control token"],
)
def test_a_document_that_cannot_be_read_is_named_with_its_line(root, data, said):
    (root / "notes" / "x.md").write_bytes(data)
    read = read_documents("notes/*.md", root)
    [fault] = read.faults
    assert fault.message.startswith(said)
    assert "leaves it out" in str(fault.hint)
    assert [one.file for one in read.passages] == ["notes/a.md"]


def test_a_pipe_is_no_document_and_nobody_waits_for_it(root):
    os.mkfifo(root / "notes" / "p.md")
    [fault] = read_documents("notes/*.md", root).faults
    assert "`notes/p.md` cannot be read" in fault.message


def test_what_cannot_be_opened_is_a_fault(root):
    (root / "notes" / "broken.md").symlink_to(root / "notes" / "gone.md")
    [fault] = read_documents("notes/*.md", root).faults
    assert "`notes/broken.md` cannot be read" in fault.message


def test_an_empty_document_is_passed_over_and_none_at_all_is_a_fault(root):
    (root / "notes" / "empty.md").write_text("\n", "utf-8")
    read = read_documents("notes/*.md", root)
    assert (read.files, read.passed_over, read.faults) == (1, ("`notes/empty.md` is empty",), ())
    [fault] = read_documents("notes/*.org", root).faults
    assert "no document with a text is named by `notes/*.org`" in fault.message


def test_a_byte_order_mark_is_no_part_of_a_heading(root):
    (root / "notes" / "a.md").write_bytes(b"\xef\xbb\xbf# Ev\n\nsu")
    [found] = read_documents("notes/a.md", root).passages
    assert found.title == "Ev"


def test_the_nearest_passages_are_found_and_read_back(tmp_path):
    held = PassageIndex.build(
        [*passages("kombi.md", "# Kombi\n\nBasınç 1,5 bar olmalı."), *passages("kedi.md", "# Kedi\n\nSabah mama yer.")]
    )
    held.save(tmp_path)
    again = PassageIndex.load(tmp_path)
    assert again.passages == held.passages
    assert [one.passage.id for one in again.nearest("kombinin basinci kac bar", 1)] == ["kombi.md#Kombi"]
    assert again.nearest("xyzw", 4) == []
