"""llama.cpp inside the process, for tests: next-token candidates and token ids."""

from contextlib import contextmanager
from types import SimpleNamespace

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


def check_tokens(folder, tokenize, texts):
    """Fail with the first text whose token ids differ between the folder's tokenizer and an engine's."""
    tokenizer = load_tokenizer(folder)
    for text in texts:
        assert list(tokenize(text)) == list(tokenizer.encode(text)), text
