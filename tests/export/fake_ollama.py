"""A server that speaks Ollama's language on a local port, as recorded from live ones, and can be told to misbehave."""

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_NAME = re.compile(r"(?:(?:[\w][\w.:-]*/)?\w[\w-]*/)?\w[\w.-]*(?::\w[\w.-]*)?", re.ASCII)


class FakeOllama:
    def __init__(self):
        self.blobs, self.models, self.bodies = {}, {}, []
        self.version = "0.33.0"
        self.stored = 201  # to a blob, newer servers answer 200
        self.create_lines = [{"status": "parsing GGUF"}, {"status": "success"}]
        self.capabilities = None  # what a model can do; read from its template unless given
        self.rewrites = False  # a created file is kept with other bytes
        self.render = self.logprobs = None  # turns -> the prompt it makes; the best tokens' log-probabilities
        self.answer = {}  # (method, path prefix) -> function(handler) that answers instead

    def handle(self, handler, method):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        for (verb, prefix), answer in self.answer.items():
            if verb == method and handler.path.startswith(prefix):
                return answer(handler)
        parts = handler.path.split("/")
        if parts[2] == "version":
            return send(handler, 200, {"version": self.version})
        if parts[2] == "tags":
            listed = [{"name": name, "model": name, "digest": manifest_of(one)} for name, one in self.models.items()]
            return send(handler, 200, {"models": listed})
        if parts[2] == "blobs":
            return self.blob(handler, method, parts[3], body)
        return self.command(handler, parts[2], json.loads(body))

    def blob(self, handler, method, digest, body):
        if method == "HEAD" or digest in self.blobs:
            return send(handler, 200 if digest in self.blobs else 404)
        found = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if found != digest:
            return send(handler, 400, {"error": f'digest mismatch, expected "{digest}", got "{found}"'})
        self.blobs[digest] = body
        return send(handler, self.stored)

    def command(self, handler, word, body):
        self.bodies.append((word, body))
        if word == "copy":
            if body["source"] not in self.models:
                return send(handler, 404, {"error": f'model "{body["source"]}" not found'})
            self.models[body["destination"]] = self.models[body["source"]]
            return send(handler, 200)
        if word == "create":
            return self.create(handler, body)
        if body["model"] not in self.models:
            return send(handler, 404, {"error": f"model '{body['model']}' not found"})
        if word == "show":
            return send(handler, 200, self.shown(body["model"]))
        if word == "chat":
            return self.chat(handler, body)
        del self.models[body["model"]]
        return send(handler, 200)

    def create(self, handler, body):
        if _NAME.fullmatch(body["model"]) is None or "." in body["model"].rpartition("/")[0].rpartition("/")[2]:
            return send(handler, 400, {"error": "invalid model name"})
        if not body.get("files") and not body.get("from"):
            return send(handler, 400, {"error": "neither 'from' or 'files' was specified"})
        for digest in body.get("files", {}).values():
            if digest not in self.blobs:
                missing = f"open /models/blobs/{digest.replace(':', '-')}: no such file or directory"
                return send_lines(handler, [{"status": "parsing GGUF"}, {"error": missing}])
        if "{{ if }}" in body.get("template", ""):
            refused = "template error: template: :1: missing value for if"
            return send_lines(handler, [{"status": "parsing GGUF"}, {"error": refused}])
        if self.create_lines and self.create_lines[-1] == {"status": "success"}:
            kept = {"files": {"m": f"sha256:{'e' * 64}"}} if self.rewrites else {}
            self.models[body["model"]] = {**body, **kept}
        return send_lines(handler, self.create_lines)

    def shown(self, name):
        model = self.models[name]
        if isinstance(model, str):  # a word in place of a model's file
            model = {"files": {"model.gguf": f"sha256:{hashlib.sha256(model.encode()).hexdigest()}"}}
        told = {"capabilities": self.capabilities or capabilities(model.get("template", ""))}
        if files := model.get("files"):
            told["modelfile"] = f"FROM /models/blobs/{next(iter(files.values())).replace(':', '-')}\n"
        if model.get("template"):
            told["template"] = model["template"]
        if model.get("system") is not None:
            told["system"] = model["system"]
        if parameters := model.get("parameters"):
            told["parameters"] = "\n".join(written(parameters))
        return told

    def chat(self, handler, body):
        model = self.models[body["model"]]
        template = model.get("template", "") if isinstance(model, dict) else ""
        if body.get("think") and "thinking" not in capabilities(template):
            return send(handler, 400, {"error": f'"{body["model"]}" does not support thinking'})
        if body.get("_debug_render_only") and (self.render is not None or template):
            turns = body["messages"]
            if isinstance(model, dict) and model.get("system") and turns[0]["role"] != "system":
                turns = [{"role": "system", "content": model["system"]}, *turns]
            prompt = (self.render or rendered)(turns)
            answer = {"model": body["model"], "message": {"role": "", "content": ""}, "done": False}
            return send(handler, 200, {**answer, "_debug_info": {"rendered_template": prompt}})
        answer = {"message": {"role": "assistant", "content": "a"}, "done": True, "done_reason": "length"}
        if body.get("logprobs") and self.logprobs is not None:
            top = [{"token": "a", "logprob": one} for one in self.logprobs[: body["top_logprobs"]]]
            answer["logprobs"] = [{"token": "a", "logprob": self.logprobs[0], "top_logprobs": top}]
        return send(handler, 200, answer)


def manifest_of(model):
    """Return the digest of a whole model: the same for a copy, another with another prompt."""
    whole = {key: value for key, value in model.items() if key != "model"} if isinstance(model, dict) else model
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def capabilities(template):
    """Return what a server takes a model for by its template."""
    found = ["completion"]
    if ".Tools" in template:
        found.append("tools")
    if "<think>" in template and ".Thinking" in template:
        found.append("thinking")
    return found


def rendered(turns):
    """Return a conversation in the recorded template."""
    body = "".join(f"<start_of_turn>{one['role']}\n{one['content']}<end_of_turn>\n" for one in turns)
    return f"{body}<start_of_turn>model\n"


def written(parameters):
    """Yield parameters as `/api/show` writes them."""
    for key, value in sorted(parameters.items()):
        for one in value if isinstance(value, list) else [value]:
            yield f"{key:<30} {json.dumps(one)}"


def send(handler, status, value=None, headers=()):
    data = b"" if value is None else json.dumps(value).encode()
    handler.send_response(status)
    for name, text in headers:
        handler.send_header(name, text)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(data)


def send_lines(handler, lines):
    handler.send_response(200)
    handler.end_headers()
    for line in lines:
        handler.wfile.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")


@contextmanager
def fake_ollama():
    """Yield (server state, address)."""
    state = FakeOllama()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    for verb in ("GET", "POST", "HEAD", "DELETE"):
        setattr(Handler, f"do_{verb}", lambda self, verb=verb: state.handle(self, verb))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
