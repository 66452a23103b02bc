"""`jessy import` prints the recipe or writes it, tells people what was lost, and never writes over a file."""

from jessyfile.cli import main


def modelfile(folder, text="FROM gemma3:270m\nRENDERER x\nSYSTEM merhaba\n"):
    (folder / "Modelfile").write_text(text)
    return str(folder / "Modelfile")


def test_the_recipe_goes_to_standard_output_and_the_losses_to_standard_error(tmp_path, capsys):
    assert main(["import", modelfile(tmp_path)]) == 0
    said = capsys.readouterr()
    assert 'SYSTEM "merhaba"' in said.out
    assert "Modelfile:2: RENDERER was left out" in said.err
    assert "RENDERER" not in said.out


def test_an_output_file_checks_clean(tmp_path):
    out = tmp_path / "new" / "m.jessy"
    assert main(["import", modelfile(tmp_path), "-o", str(out), "--name", "mia"]) == 0
    assert "NAME mia" in out.read_text()
    assert main(["check", str(out)]) == 0


def test_an_output_file_that_is_there_stays(tmp_path, capsys):
    out = tmp_path / "m.jessy"
    out.write_text("mine")
    assert main(["import", modelfile(tmp_path), "-o", str(out)]) == 1
    assert out.read_text() == "mine"
    assert "there already" in capsys.readouterr().err


def test_a_yaml_file_is_read_as_a_configuration(tmp_path, capsys):
    (tmp_path / "lora.yml").write_text("model: a/b\niterz: 3\n")
    assert main(["import", str(tmp_path / "lora.yml")]) == 0
    said = capsys.readouterr()
    assert "FROM hf:a/b" in said.out
    assert "lora.yml:2: iterz was left out" in said.err
    assert "similar key exists: `iters`" in said.err


def test_control_characters_of_the_source_never_reach_the_terminal(tmp_path, capsys):
    assert main(["import", modelfile(tmp_path, "FROM a\nPARAMETER seed \x1b[31mred\nSYSTEM x\u202e\n")]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.err + said.out
    assert "\u202e" not in said.err + said.out


def test_a_broken_modelfile_names_its_line(tmp_path, capsys):
    assert main(["import", modelfile(tmp_path, 'FROM a\nSYSTEM """open\n')]) == 1
    assert "error[E701]: line 2: SYSTEM opens a text" in capsys.readouterr().err
