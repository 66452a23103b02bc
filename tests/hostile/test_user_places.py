"""Whatever place a user names, nothing that jessy did not write is replaced, removed, emptied or given another mode.

Every command that takes a place is driven against a filled folder, the project itself, the folder above it, the root of
the disk, other people's files, links of every kind, a pipe, a socket and a place without write permission.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from jessyfile.cli import COMMANDS, main
from jessyfile.export.registry import Registration, register
from jessyfile.fsops import hash_file
from jessyfile.models.gguf_container import U32, pair_bytes, write_container
from jessyfile.user_files import edit, write_new

RECIPE = """JESSY 1

NAME small
FROM gemma3:270m

DATASET {
  CATEGORY turkish 3 "Turkish" {
    language tr
    level    low
    TOPIC slang 3
  }
}
"""
UNTIDY = RECIPE.replace("NAME small", "NAME      small")
MODELFILE = "FROM gemma3:270m\nSYSTEM be kind\n"

# every parameter of every command that takes a text: what it does with the place that it may name
FOLDER, OWN_FILE, NEW_FILE, EDITED, NEW_PROJECT = "folder", "own file", "new file", "edited", "new project"
WRITTEN = {
    "data make --output": FOLDER,
    "export --output": FOLDER,
    "plan --out": OWN_FILE,
    "eval --junit": OWN_FILE,
    "import --output": NEW_FILE,
    "fmt FILES": EDITED,
    "init FOLDER": NEW_PROJECT,
    "data import --into": NEW_PROJECT,
    "voice ask --out": OWN_FILE,
    "voice say --out": OWN_FILE,
}
READ = {
    "init --rows", "chat --schema", "serve --key_file", "voice ask QUESTION", "voice hear FILE", *(f"voice {command}" for command in ("ask --ears", "ask --voice", "hear --ears", "say --voice")), "serve --ears", "serve --voice", "data import FILES", "data lint PATH", "data lint --against", "data show PATH", "data show --mask", "data stats PATH", "feedback import FILES", "diff A", "diff B", "export WHAT", "import FILE", "upgrade RECIPES",
    "plan --hosts", "apply --hosts", "eval WHAT", "compare A", "compare B", "report WHAT", *(f"verify {word}" for word in ("GGUF", "--against", "--adapter", "--modelfile")),
    *(f"{command} RECIPE" for command in
      ("apply", "check", "data make", "feedback accept", "graph", "plan", "show", "sweep", "watch", "why")),
}  # fmt: skip
NO_PLACE = {
    "about", "allow_host", "allow_origin", "arg", "base", "by", "category", "code", "encoding", "host", "host_name", "ids", "language", "level", "model", "name", "ollama", "only", "over", "prompt", "quantize", "query", "ray", "replace", "response", "set_", "skip", "speaker", "step",
    "suite", "tag", "text", "topic", "variant", "wording",
}  # fmt: skip


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, (imported, _) in COMMANDS.items():
        command = imported()
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", below) for inner, below in command.commands.items())
        else:
            yield name, command


def test_every_parameter_that_may_name_a_place_is_in_the_table():
    """A new `--output` is not forgotten here: what takes a text is written to, read, or no place at all."""
    unknown = []
    for name, command in commands():
        for parameter in command.params:
            if not isinstance(parameter.type, click.types.StringParamType | click.Path | click.File):
                continue
            shown = parameter.name.upper() if isinstance(parameter, click.Argument) else f"--{parameter.name}"
            if f"{name} {shown}" not in {*WRITTEN, *READ} and parameter.name not in NO_PLACE:
                unknown.append(f"{name} {shown}")
    assert unknown == []


DIRECT = {"replace", "rename", "link", "symlink", "unlink", "remove", "rmdir", "mkdir", "makedirs", "chmod", "truncate"}
METHODS = {
    "write_text",
    "write_bytes",
    "unlink",
    "rmdir",
    "mkdir",
    "touch",
    "rename",
    "chmod",
    "symlink_to",
    "hardlink_to",
}
WRITERS = {"fsops.py", "commands/data.py", "user_files.py"}  # the last two make folders of jessy's own, or remove them


def test_one_module_writes():
    """What writes, removes or renames past `fsops` is past every rule about the user's files."""
    import ast

    package = Path(sys.modules["jessyfile"].__file__).parent
    found = []
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).as_posix() in WRITERS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                direct = owner == "os" and node.func.attr in DIRECT
                method = owner not in ("fsops", "os", "shutil") and node.func.attr in METHODS
                if (
                    direct
                    or method
                    or (owner == "shutil" and node.func.attr not in ("which", "disk_usage", "get_terminal_size"))
                ):
                    found.append(f"{path.relative_to(package)}:{node.lineno} {owner}.{node.func.attr}")
    assert found == []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project beside which, and above which, lie files of other people."""
    (tmp_path / "precious.txt").write_text("above the project")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "thesis.tex").write_text("years of work")
    root = tmp_path / "project"
    (root / ".jessy").mkdir(parents=True)
    (root / "r.jessy").write_text(RECIPE)
    (root / "Modelfile").write_text(MODELFILE)
    (root / "own.jsonl").write_text('{"query": "bilet nerede alınır", "response": "Gişede."}\n', "utf-8")
    (root / "src").mkdir()
    (root / "src" / "main.py").write_text("print()")
    (root / ".jessy" / "models").mkdir()
    gguf = root / ".jessy" / "models" / "small.gguf"
    write_container(gguf, [pair_bytes("general.file_type", U32, 1)], [])
    register(root, "small", "latest", Registration("embedded", hash_file(gguf), gguf=".jessy/models/small.gguf"))
    monkeypatch.chdir(root)
    return root


def filled_folder(place: Path) -> None:
    place.mkdir()
    (place / "train.jsonl").write_text("my own rows")


def foreign_file(place: Path) -> None:
    place.write_text("mine")
    place.chmod(0o640)


def foreign_json(place: Path) -> None:
    place.write_text('{"format": 1, "steps": []}')


def binary_file(place: Path) -> None:
    place.write_bytes(b"\x00\xff\xfe")


def link_to_a_file(place: Path) -> None:
    place.symlink_to("../precious.txt")


def link_to_a_folder(place: Path) -> None:
    place.symlink_to("../outside")


def dangling_link(place: Path) -> None:
    place.symlink_to("../nowhere")


def link_to_itself(place: Path) -> None:
    place.symlink_to(place.name)


def pipe(place: Path) -> None:
    os.mkfifo(place)


def socket_file(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place.name)


def device(place: Path) -> None:
    place.symlink_to("/dev/null")


STANDING: tuple[Callable[[Path], None], ...] = (
    filled_folder, foreign_file, foreign_json, binary_file, link_to_a_file, link_to_a_folder, dangling_link,
    link_to_itself, pipe, socket_file, device,
)  # fmt: skip
TO_A_PLACE = [option for option, kind in WRITTEN.items() if kind not in (EDITED, NEW_PROJECT)]
WELL_KNOWN = (".", "..", "/", "", "./", "../outside", "src", ".jessy", "r.jessy/x", "src/main.py/x")


def everything(folder: Path) -> dict[str, object]:
    """Return every path below a folder with what it is: kind, mode, and bytes or where it leads."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (status.st_mode, content)
    return found


def words(option: str, place: str) -> list[str]:
    return {
        "data make --output": ["data", "make", "r.jessy", "--output", place],
        "export --output": ["export", "small", "--as", "gguf", "-o", place],
        "plan --out": ["plan", "r.jessy", "-o", place],
        "eval --junit": ["eval", "small", "--junit", place],
        "import --output": ["import", "Modelfile", "-o", place],
        "fmt FILES": ["fmt", place],
        "init FOLDER": ["init", place, "--yes", "--name", "r", "--base", "gemma3:270m"],
        "data import --into": ["data", "import", "own.jsonl", "--into", place],
        "voice ask --out": ["voice", "ask", "small", "question.wav", "--out", place],
        "voice say --out": ["voice", "say", "Selam.", "--out", place],
    }[option]


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert "error[E" in said
    assert "a bug in jessy" not in said
    return said


@pytest.mark.parametrize("stands", STANDING)
@pytest.mark.parametrize("option", [option for option, kind in WRITTEN.items() if kind != NEW_PROJECT])
def test_what_stands_at_the_place_stays_as_it_is(option, stands, project, capsys):
    """`data make --output DIR` once emptied a filled folder, and `plan -o` wrote over whatever file was named."""
    place = project / "place"
    stands(place)
    before = everything(project.parent)
    assert main(words(option, "place")) == 1
    assert everything(project.parent) == before
    said = refused(capsys)
    assert "place" in said
    if WRITTEN[option] != EDITED:
        assert "= help: " in said


@pytest.mark.parametrize("place", WELL_KNOWN)
@pytest.mark.parametrize("option", [option for option, kind in WRITTEN.items() if kind != NEW_PROJECT])
def test_a_folder_of_the_user_is_never_emptied(option, place, project, capsys):
    """`--output .` once deleted the whole project."""
    before = everything(project.parent)
    assert main(words(option, place)) != 0
    refused(capsys)
    after = everything(project.parent)
    assert {name: after.get(name) for name in before} == before


@pytest.mark.parametrize("option", TO_A_PLACE)
def test_a_sign_that_only_a_shell_reads_is_refused(option, project, capsys):
    """`--output=~/rows` made a folder called `~` in the project."""
    before = everything(project.parent)
    assert main(words(option, "~/rows")) != 0
    refused(capsys)
    assert everything(project.parent) == before


@pytest.mark.parametrize("target", ["r.jessy", "Modelfile", "src/main.py"])
@pytest.mark.parametrize("option", TO_A_PLACE)
def test_the_recipe_itself_is_not_overwritten(option, target, project, capsys):
    before = everything(project.parent)
    assert main(words(option, target)) == 1
    assert everything(project.parent) == before
    refused(capsys)


@pytest.mark.parametrize("stands", STANDING)
@pytest.mark.parametrize("place", ["place", "place/own"])
def test_an_import_writes_over_nothing(place, stands, project, capsys):
    (project / place).parent.mkdir(exist_ok=True)
    stands(project / place)
    before = everything(project.parent)
    main(words("data import --into", "place"))
    assert "a bug in jessy" not in capsys.readouterr().err
    after = everything(project.parent)
    assert {path: after.get(path) for path in before} == before


@pytest.mark.parametrize("stands", STANDING)
def test_init_writes_over_nothing(stands, project, capsys):
    for name in ("r.jessy", ".gitignore", "data"):
        folder = project / f"new-{name.strip('.')}"
        folder.mkdir()
        os.chdir(folder)
        stands(folder / name)
        before = everything(project.parent)
        code = main(words("init FOLDER", "."))
        after = everything(project.parent)
        if name == ".gitignore" and stat.S_ISREG((folder / name).stat().st_mode if (folder / name).exists() else 0):
            assert code == 0
            here = str((folder / name).resolve().relative_to(project.parent))
            mode, data = before.pop(here)
            assert after[here] == (mode, data + b"\n.jessy/\n")
        elif code:
            refused(capsys)
            if name != "data":
                assert after == before
        assert {path: after.get(path) for path in before} == before
        os.chdir(project)


def test_what_only_reads_changes_nothing(project, capsys):
    (project / "rows.jsonl").write_text("{}\n")
    before = everything(project.parent)
    for place in (".", "..", "rows.jsonl", "r.jessy", "Modelfile", "../outside"):
        for command in (["check"], ["show"], ["graph"], ["plan"], ["why", "train"], ["data", "lint"], ["data", "show"],
                        ["data", "stats"], ["import"], ["diff", "r.jessy"]):  # fmt: skip
            main([*command, place])
    assert everything(project.parent) == before


# what jessy may do


def test_a_folder_that_jessy_filled_is_filled_again(project, capsys):
    """Also through a link, which stays; and what a run leaves has the umask's modes."""
    (project / "real").mkdir()
    (project / "rows").symlink_to("real")
    for _ in range(2):
        assert main(words("data make --output", "rows")) == 0
    assert (project / "rows").is_symlink()
    assert sorted(os.listdir(project / "real")) == ["card.html", "card.json", "train.jsonl", "valid.jsonl"]


@pytest.mark.parametrize("name", ["train.jsonl", "card.json", "card.html"])
def test_rows_that_were_edited_by_hand_are_not_made_again_over(name, project, capsys):
    assert main(words("data make --output", "rows")) == 0
    with open(project / "rows" / name, "a") as handle:
        handle.write("\n")
    before = everything(project)
    assert main(words("data make --output", "rows")) == 1
    assert everything(project) == before
    assert "which was changed since" in refused(capsys)


def test_a_stranger_beside_the_rows_stays(project, capsys):
    assert main(words("data make --output", "rows")) == 0
    (project / "rows" / "notes.txt").write_text("mine")
    assert main(words("data make --output", "rows")) == 1
    assert "`notes.txt`" in refused(capsys)
    assert (project / "rows" / "notes.txt").read_text() == "mine"


KILLED = """
import os, sys
from jessyfile import fsops
from jessyfile.cli import main
genuine = fsops.move_files
def killed(source, target, names):
    genuine(source, target, names[:int(sys.argv[1])])
    os._exit(9)
fsops.move_files = killed
main(sys.argv[2:])
"""


@pytest.mark.parametrize("moved", range(4))
def test_rows_whose_move_was_killed_are_made_again(moved, project):
    """Killed between two renames, some files are new and some old: all are still jessy's own."""
    again = words("data make --output", "rows")
    assert main(again) == 0
    (project / "r.jessy").write_text(RECIPE.replace(" 3", " 4"))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    call = [sys.executable, "-c", KILLED, str(moved), *again]
    assert subprocess.run(call, env=environment, capture_output=True).returncode == 9
    assert len(os.listdir(project / "rows")) == 5
    assert main(again) == 0
    assert sorted(os.listdir(project / "rows")) == ["card.html", "card.json", "train.jsonl", "valid.jsonl"]


def test_two_runs_into_one_folder_do_not_mix(project, capsys):
    import fcntl

    temporary = project / "rows" / ".card.json.0123456789ab.tmp"
    temporary.mkdir(parents=True)
    descriptor = os.open(temporary, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert main(words("data make --output", "rows")) == 1
    assert "another jessy is filling `rows`" in refused(capsys)
    os.close(descriptor)
    assert main(words("data make --output", "rows")) == 0
    assert not temporary.exists()


def test_a_shortage_leaves_no_folder_behind(project, capsys):
    (project / "r.jessy").write_text(RECIPE.replace(" 3", " 3000"))
    assert main(words("data make --output", "new")) == 1
    assert not (project / "new").exists()


def test_models_of_one_beginning_do_not_share_their_rows(project):
    """The rows of `small` lay in `.jessy/data/small`, and took those of `small/one` in it with them."""
    for name in ("small/one", "small", "small/one"):
        (project / "r.jessy").write_text(RECIPE.replace("NAME small", f"NAME {name}"))
        assert main(["data", "r.jessy"]) == 0
    assert sorted(os.listdir(project / ".jessy" / "data")) == ["small", "small%2Fone"]


def test_a_saved_plan_is_saved_again_with_its_link_and_mode(project):
    (project / "plans").mkdir()
    assert main(words("plan --out", "plans/one.json")) == 0
    (project / "plans" / "one.json").chmod(0o600)
    (project / "plan.json").symlink_to("plans/one.json")
    (project / "r.jessy").write_text(RECIPE.replace(" 3", " 4"))
    before = (project / "plan.json").read_bytes()
    assert main(words("plan --out", "plan.json")) == 0
    assert (project / "plan.json").is_symlink()
    assert (project / "plan.json").read_bytes() != before
    assert stat.S_IMODE((project / "plan.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o664])
def test_fmt_keeps_the_link_and_the_mode(mode, project):
    """`jessy fmt` once made a file of a link, and 0644 of 0600."""
    real = project / "src" / "real.jessy"
    real.write_text(UNTIDY)
    real.chmod(mode)
    (project / "link.jessy").symlink_to("src/real.jessy")
    assert main(["fmt", "link.jessy"]) == 0
    assert (project / "link.jessy").is_symlink()
    assert real.read_text() != UNTIDY
    assert stat.S_IMODE(real.stat().st_mode) == mode


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a file away")
def test_fmt_keeps_the_owner(project):
    (project / "r.jessy").write_text(UNTIDY)
    os.chown(project / "r.jessy", 1234, 4321)
    assert main(["fmt", "r.jessy"]) == 0
    status = (project / "r.jessy").stat()
    assert (status.st_uid, status.st_gid) == (1234, 4321)


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_new_files_and_folders_have_the_modes_of_the_umask(umask, project):
    """The rows' folder was closed for everybody else, whatever the umask; files were open for all under 077."""
    before = os.umask(umask)
    try:
        for option in ("data make --output", "export --output", "plan --out", "import --output", "init FOLDER"):
            assert main(words(option, f"new/{option.split()[0]}")) == 0
        assert main(["data", "r.jessy"]) == 0
    finally:
        os.umask(before)
    made = [*(project / "new").rglob("*"), *(project / ".jessy" / "data").rglob("*"), project / "new"]
    assert len(made) > 15
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, path


def without_rights() -> None:
    """Make root an ordinary user: take away what lets it pass over permissions."""
    import ctypes

    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drops root's rights as Linux has them")
@pytest.mark.parametrize("option", list(WRITTEN))
def test_a_place_without_permission_is_one_sentence(option, project):
    (project / "r.jessy").write_text(UNTIDY)
    place = {"fmt FILES": "r.jessy", "voice ask --out": "new.wav", "voice say --out": "new.wav"}.get(option, "new")
    project.chmod(0o555)
    before = everything(project.parent)
    told = subprocess.run(
        [sys.executable, "-m", "jessyfile.cli", *words(option, place)],
        cwd=project, capture_output=True, text=True, timeout=60, preexec_fn=without_rights,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    after = everything(project.parent)
    project.chmod(0o755)
    assert told.returncode == 1, told
    assert "error[E300]: " in told.stderr
    assert "permission denied" in told.stderr
    assert after == before


def test_what_was_saved_meanwhile_is_not_lost(project, monkeypatch, capsys):
    """An editor saved the file while it was laid out: the layout of the old text took the new one's place."""
    (project / "r.jessy").write_text(UNTIDY)
    genuine = os.access

    def editor_saves(path, mode):
        (project / "r.jessy").write_text("JESSY 1\n# a thought\n")
        return genuine(path, mode)

    monkeypatch.setattr(os, "access", editor_saves)
    assert main(["fmt", "r.jessy"]) == 1
    assert "was changed meanwhile" in refused(capsys)
    assert "a thought" in (project / "r.jessy").read_text()
    assert sorted(os.listdir(project)) == [".jessy", "Modelfile", "own.jsonl", "r.jessy", "src"]


@pytest.mark.parametrize("name", ["b.py", "README.md", "Makefile", "Dockerfile", "Modelfile"])
def test_fmt_lays_out_recipes_only(name, project, capsys):
    """A Python file parses as words and values, and lost its indentation to `jessy fmt *`."""
    text = {"b.py": "def f():\n  x = 1\n", "README.md": "# Title\n\none two\nthree four\n"}.get(
        name, MODELFILE + "\n\n"
    )
    (project / name).write_text(text)
    assert main(["fmt", name]) == 1
    assert "recipe" in refused(capsys)
    assert (project / name).read_text() == text


def test_a_write_protected_recipe_is_not_formatted(project, monkeypatch, capsys):
    (project / "r.jessy").write_text(UNTIDY)
    genuine = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and genuine(path, mode))
    assert main(["fmt", "r.jessy"]) == 1
    assert "write-protected" in refused(capsys)
    assert (project / "r.jessy").read_text() == UNTIDY


# the lock file


def test_a_lock_file_of_another_tool_is_refused_before_anything_runs(project, capsys):
    """`poetry.lock` beside a `poetry.jessy` is not jessy's; it was replaced at the end of the first apply."""
    (project / "r.jessy").rename(project / "poetry.jessy")
    (project / "poetry.lock").write_text("# This file is automatically @generated by Poetry\n")
    before = everything(project)
    for more in ([], ["--json"]):
        assert main(["apply", "poetry.jessy", *more]) == 1
        assert "poetry.lock" in refused(capsys)
    assert everything(project) == before


def test_what_a_killed_run_left_beside_a_file_of_the_users_goes_with_the_next_writing(tmp_path):
    """A .env was left half written under another name, with its secrets, and nothing ever removed it."""
    file = tmp_path / ".env"
    file.write_bytes(b"KEY=secret\n")
    killed, held_one = tmp_path / "..env.0123456789ab.tmp", tmp_path / "..env.ba9876543210.tmp"
    others = [
        tmp_path / name for name in (".env.tmp", "..env.backup.tmp", ".env.0123456789ab.tmp", "..env2.0123456789ab.tmp")
    ]
    for path in (killed, held_one, *others):
        path.write_bytes(b"KEY=secret\n")
    with held_one.open("rb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        edit(file, b"KEY=secret\n", b"KEY=new\n")
        assert not killed.exists()
        assert held_one.exists()
        killed.write_bytes(b"")
        write_new(tmp_path / "other", b"")
        assert killed.exists()  # it is another file's
    assert all(path.exists() for path in others)
