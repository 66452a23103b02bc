"""llama.cpp inside the process, for tests: next-token candidates and token ids."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from jessyfile.engines.engine import GenerationSettings, ServedModel
from jessyfile.engines.llamacpp_engine import LlamaCpp
from jessyfile.engines.serving import loaded
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity.measures import distance
from jessyfile.parity.passages import plain_passage
from jessyfile.parity.readings import read_engine, read_folder


@contextmanager
def llama_cpp(path):
    """Yield an object with `ask(prompt, top)` and `tokenize(text)` for a GGUF."""
    import httpx
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.warmup, params.cpuparams.n_threads = 512, 1, False, 2
    server = xllamacpp.Server(params)

    with httpx.Client(trust_env=False, timeout=300) as client:

        def ask(prompt, top):
            asked = prompt if isinstance(prompt, str) else list(prompt)
            body = {"prompt": asked, "n_predict": 1, "temperature": 0, "n_probs": top, "cache_prompt": False}
            answer = client.post(f"{server.listening_address}/completion", json=body).json()
            found = answer.get("completion_probabilities") or [{"top_logprobs": []}]
            return [SimpleNamespace(token=one["id"], logprob=one["logprob"]) for one in found[0]["top_logprobs"]]

        def tokenize(text):
            body = {"content": text, "add_special": False, "parse_special": True}
            return client.post(f"{server.listening_address}/tokenize", json=body).json()["tokens"]

        yield SimpleNamespace(ask=ask, tokenize=tokenize)


def compare(folder, ask, texts):
    """Return how far an engine's next tokens lie from those of the folder's model, at places all along the texts."""
    tokenizer = load_tokenizer(folder)
    passages = [plain_passage(tokenizer.encode(text, bos=True)) for text in texts]
    passages = [one for one in passages if one.places]
    return distance(read_folder(folder, passages), read_engine(ask, passages, 64))


def logits_nmse(folder, gguf, texts, most=12):
    """Return the squared error of a file's logits against MLX's by their squared norm, over the whole vocabulary, and at how
    many places of the texts. Both are log-probabilities with their mean taken off, for an engine tells no more.
    """
    tokenizer, wrong, norm, places = load_tokenizer(folder), 0.0, 0.0, 0
    passages = [plain_passage(tokenizer.encode(text, bos=True)) for text in texts]
    passages = [replace(one, places=one.places[-most:]) for one in passages if one.places]
    ours = read_folder(folder, passages)
    engine = LlamaCpp(parallel=1)
    with loaded(engine, ServedModel("file", gguf, "chatml", settings=GenerationSettings(num_ctx=512))):
        theirs = read_engine(engine.next_logprobs, passages, ours[0].shape[1])
    for rows, answers in zip(ours, theirs, strict=True):
        for row, named in zip(rows, answers, strict=True):
            assert len(named.tokens) == len(row)
            right = row[named.tokens].astype(np.float64)
            right -= right.mean()
            wrong += float(((named.logprobs - named.logprobs.mean() - right) ** 2).sum())
            norm += float((right**2).sum())
            places += 1
    return wrong / norm, places


def check_tokens(folder, tokenize, texts):
    """Fail with the first text whose token ids differ between the folder's tokenizer and an engine's."""
    tokenizer = load_tokenizer(folder)
    for text in texts:
        assert list(tokenize(text)) == list(tokenizer.encode(text)), text
