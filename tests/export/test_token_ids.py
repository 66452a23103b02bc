"""Token ids equal llama.cpp's for the vocabulary of every kind of model, in five scripts and in what tokenizers stumble on."""

import pytest
from corpus import texts
from doubles import DOUBLES, write_double
from embedded import llama_cpp, logits_nmse

from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.from_folder import bring_folder
from jessyfile.models.from_gguf import convert_gguf
from jessyfile.models.tokenizer import load_tokenizer

TEXTS = texts(88)


def silent(*_):
    pass


@pytest.mark.parametrize("name", DOUBLES)
def test_a_folders_ids_are_those_of_its_gguf_and_of_what_is_read_back(name, tmp_path):
    """A Qwen composed letters that no engine composes, a Mistral with tekken cut Hindi by the published rule instead of
    llama.cpp's, one with SentencePiece had no blank behind its turn tokens; read back, a Gemma's runs of blanks fell apart.
    """
    folders = {part: tmp_path / part for part in ("base", "again")}
    for folder in folders.values():
        folder.mkdir()
    bring_folder(write_double(tmp_path / "published", name), folders["base"], silent)
    write_gguf(folders["base"], tmp_path / "model.gguf", "f16", silent)
    assert logits_nmse(folders["base"], tmp_path / "model.gguf", TEXTS[:2])[0] < 1e-4
    convert_gguf(tmp_path / "model.gguf", folders["again"])
    with llama_cpp(tmp_path / "model.gguf") as engine:
        theirs = [list(engine.tokenize(text)) for text in TEXTS]
    for folder in folders.values():
        tokenizer = load_tokenizer(folder)
        assert [text for text, ids in zip(TEXTS, theirs, strict=True) if tokenizer.encode(text) != ids] == []
