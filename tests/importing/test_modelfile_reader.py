"""The reader keeps exactly what Ollama keeps of a Modelfile, and names the line where Ollama would refuse."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.errors import ModelfileError
from jessyfile.importing.modelfile_reader import WORDS, Command, decode_modelfile, parse_modelfile, read_modelfile


def values(text):
    """What stands after FROM, as Ollama keeps it."""
    return [(c.name, c.args) for c in read_modelfile("FROM base\n" + text)[1:]]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SYSTEM You are # no comment", "You are # no comment"),
        ("SYSTEM   spaces around   ", "spaces around"),
        ('SYSTEM "  kept  "', "  kept  "),
        ('SYSTEM """\nfirst\nlast\n"""', "\nfirst\nlast\n"),
        ('SYSTEM """one line"""   ', "one line"),
        ('SYSTEM """a\n\n  b"""', "a\n\n  b"),
        ('SYSTEM """"""', ""),
        ('SYSTEM ""', ""),
        ("SYSTEM ", ""),
        ('SYSTEM "\\n is two characters"', "\\n is two characters"),
        ('SYSTEM """it says "hi"\n"""', 'it says "hi"\n'),
        ('SYSTEM """ends with """inside"""', 'ends with """inside'),
        ("SYSTEM no\u00a0break, soft\u00adhyphen, zero\u200bwidth", "nobreak, softhyphen, zerowidth"),
        ("SYSTEM şğıİöçü 👍", "şğıİöçü 👍"),
        ("SYSTEM tab\tstays", "tab\tstays"),
        ('SYSTEM """a\r\nb"""', "a\r\nb"),
        ("sYsTeM any case", "any case"),
        ("\u200bSYSTEM behind a zero-width space", "behind a zero-width space"),
        ("SYSTEM 'single quotes stay'", "'single quotes stay'"),
    ],
)
def test_a_text_is_kept_as_ollama_keeps_it(text, kept):
    assert values(text) == [("system", kept)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("PARAMETER temperature 0.7", ("temperature", "0.7")),
        ("PARAMETER stop \"### User: \"", ("stop", "### User: ")),
        ("PARAMETER stop ### User:", ("stop", "### User:")),
        ("PARAMETER  temperature 0.7", ("", "temperature 0.7")),
        ("MESSAGE user a: b", ("message", "user: a: b")),
        ("LICENSE MIT", ("license", "MIT")),
        ("DRAFT ./small", ("draft", "./small")),
    ],
)  # fmt: skip
def test_keys_and_roles_are_split_off_as_ollama_does(text, kept):
    assert values(text) == [kept]


def test_a_value_that_begins_with_a_quote_swallows_the_lines_up_to_the_next_closing_quote():
    assert values('SYSTEM "hello" she said\nPARAMETER stop "x"') == [("system", 'hello" she said\nPARAMETER stop "x')]


def test_an_empty_value_does_not_swallow_the_next_line():
    assert values("SYSTEM \nPARAMETER seed 1") == [("system", ""), ("seed", "1")]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("FROM a\nBADCOMMAND x", 2, "BADCOMMAND x"),
        ("FROM a\n\nSYSTEM", 3, "SYSTEM"),
        ("FROM a\nPARAMETER temp-erature 1", 2, "PARAMETER"),
        ("FROM a\nPARAMETER seed", 2, "PARAMETER"),
        ("FROM a\nMESSAGE badguy hi", 2, "badguy"),
        ("FROM a\nMESSAGE  user hi", 2, "role ``"),
        ('FROM a\nSYSTEM """open\nnever closed', 2, '"""'),
        ('FROM a\r\nSYSTEM "open\r\n', 2, "never closed"),
        ("FROM a\nıNCLUDE x", 2, "ıNCLUDE"),
    ],
)
def test_what_ollama_refuses_is_refused_with_its_line(text, line, says):
    with pytest.raises(ModelfileError) as caught:
        read_modelfile(text)
    assert caught.value.message.startswith(f"line {line}:")
    assert says in caught.value.message


@pytest.mark.parametrize("text", ["", "PARAMETER seed 1", "# FROM a"])
def test_a_modelfile_needs_a_from(text):
    with pytest.raises(ModelfileError, match="no FROM"):
        read_modelfile(text)


def test_lines_comments_and_vanished_characters_are_remembered():
    found = parse_modelfile('# who\nFROM a\nSYSTEM """\nx\u00a0y\n"""\n  # later\nLICENSE z')
    assert [(c.line, c.last_line, c.vanished) for c in found.commands] == [(2, 2, ""), (3, 5, "\u00a0"), (7, 7, "")]
    assert [(c.line, c.text) for c in found.comments] == [(1, "who"), (6, "later")]


def test_commands_compare_by_what_ollama_keeps_and_not_by_where_they_stood():
    assert read_modelfile("\n\nFROM a") == [Command("model", "a")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
def test_the_encodings_that_ollama_takes_are_taken(encoding):
    marks = {"utf-16-le-bom": (b"\xff\xfe", "utf-16-le"), "utf-16-be-bom": (b"\xfe\xff", "utf-16-be")}
    mark, codec = marks.get(encoding, (b"", encoding))
    assert decode_modelfile(mark + "FROM a\nSYSTEM şğı".encode(codec)) == "FROM a\nSYSTEM şğı"


def test_other_bytes_are_refused_with_their_place():
    with pytest.raises(ModelfileError, match="byte 5"):
        decode_modelfile(b"FROM \xff")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@settings(max_examples=300)
def test_any_text_between_triple_quotes_comes_back_but_for_what_vanishes(text):
    """The exporter's promise rests on this: a text without `\"\"\"` at a line's end reads back as it is."""
    if any(
        line.rstrip(" \t\r").endswith('"""') for line in (text + "x").replace("\r", "\n").split("\n")
    ) or text.endswith('"'):
        return
    kept = "".join(c for c in text if c.isprintable() or c in "\t\r\n")
    assert values(f'SYSTEM """{text}"""') == [("system", kept)]


def by_states(text):  # noqa: C901 (a state machine in one piece, so that it reads like the original)
    """Ollama's machine over single characters: what the quick reader must equal. None where it refuses."""
    state, buffer, name, role, found = "nil", "", "", "", []

    def value():
        s = buffer.strip(" \t\r\n")
        for quotes in ('"""', '"'):
            if s.startswith(quotes):
                return s[len(quotes) : -len(quotes)] if len(s) >= 2 * len(quotes) and s.endswith(quotes) else None
        return s

    for c in text:
        blank, newline = c in " \t", c in "\r\n"
        letter = c.isascii() and c.isalpha()
        key = letter or (c.isascii() and c.isdigit()) or c == "_"
        after, kept = state, c
        if state in ("nil", "comment"):
            after = (
                "comment" if c == "#" or (state == "comment" and not newline) else "nil" if blank or newline else "name"
            )
            kept = c if after == "name" else ""
        elif state == "value":
            after = "nil" if blank or newline else "value"
        elif blank:
            after, kept = "value", ""
        elif not (key if state == "parameter" else letter):
            return None
        if after != state:
            if state == "value":
                if value() is None or blank:
                    buffer += c
                    continue
                found.append((name, f"{role}: {value()}" if role else value()))
                role = ""
            elif state == "name":
                name = buffer.lower()
                if name not in WORDS:
                    return None
                after = name if name in ("parameter", "message") else "value"
                name = "model" if name == "from" else name
            elif state == "parameter":
                name = buffer
            elif state == "message":
                role = buffer
                if role not in ("system", "user", "assistant"):
                    return None
            buffer, state = "", after
        buffer += kept if kept.isprintable() else ""
    if state == "value":
        if value() is None:
            return None
        found.append((name, f"{role}: {value()}" if role else value()))
    elif state not in ("nil", "comment"):
        return None
    return found if any(name == "model" for name, _ in found) else None


WORDY = ["FROM ", "SYSTEM ", "parameter ", "PARAMETER stop ", "MESSAGE user ", "LICENSE", "#", "a", "ş"]
PIECES = [*WORDY, '"', '""', '"""', "\n", "\r\n", "\t", " ", "\u00a0"]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@settings(max_examples=2000)
def test_the_quick_reader_equals_the_machine_over_single_characters(text):
    text = "FROM a\n" + text
    try:
        found = [(c.name, c.args) for c in read_modelfile(text)]
    except ModelfileError:
        found = None
    assert found == by_states(text)


@given(st.text(alphabet='FROMSYTE "\n\r\t#a\u00a0', max_size=60))
@settings(max_examples=500)
def test_any_text_ends_in_commands_or_in_a_named_line(text):
    try:
        commands = read_modelfile(text)
    except ModelfileError as error:
        assert error.message.startswith(("line ", "a Modelfile has no FROM"))
    else:
        assert commands


def test_a_text_of_half_a_million_lines_is_read_in_a_breath():
    """The first reader joined and stripped the whole text at every line: quadratic."""
    started = time.monotonic()
    assert len(read_modelfile('FROM a\nSYSTEM """' + "x\n" * 500_000 + '"""')) == 2
    assert time.monotonic() - started < 5
