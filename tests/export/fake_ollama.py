"""A server that speaks Ollama's language on a local port, and can be told to misbehave."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeOllama:
    def __init__(self):
        self.blobs, self.models, self.bodies = {}, {}, []
        self.version = "0.33.0"
        self.create_lines = [{"status": "parsing GGUF"}, {"status": "success"}]
        self.capabilities = ["completion"]
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
        if parts[2] == "blobs":
            return self.blob(handler, method, parts[3], body)
        return self.command(handler, parts[2], json.loads(body))

    def blob(self, handler, method, digest, body):
        if method == "HEAD":
            return send(handler, 200 if digest in self.blobs else 404)
        if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
            return send(handler, 400, {"error": "digest mismatch"})
        self.blobs[digest] = body
        return send(handler, 201)

    def command(self, handler, word, body):
        self.bodies.append((word, body))
        if word == "create":
            if self.create_lines and self.create_lines[-1] == {"status": "success"}:
                self.models[body["model"]] = (
                    body if not self.rewrites else {**body, "files": {"m": f"sha256:{'e' * 64}"}}
                )
            return send_lines(handler, self.create_lines)
        if word == "show":
            return self.show(handler, body["model"])
        if word == "chat":
            return self.chat(handler, body)
        if word == "copy":
            if body["source"] not in self.models:
                return send(handler, 404, {"error": "not found"})
            self.models[body["destination"]] = self.models[body["source"]]
            return send(handler, 200)
        return send(handler, 200 if self.models.pop(body["model"], None) else 404)

    def show(self, handler, name):
        model = self.models.get(name, {})
        if isinstance(model, str):  # a word in place of a model's file
            model = {"files": {"model.gguf": f"sha256:{hashlib.sha256(model.encode()).hexdigest()}"}}
        files = model.get("files", {})
        told = {"modelfile": f"FROM /models/blobs/{next(iter(files.values())).replace(':', '-')}\n"} if files else {}
        return send(handler, 200 if name in self.models else 404, {"capabilities": self.capabilities, **told})

    def chat(self, handler, body):
        if body["model"] not in self.models:
            return send(handler, 404, {"error": "model not found"})
        if body.get("_debug_render_only") and self.render is not None:
            return send(handler, 200, {"_debug_info": {"rendered_template": self.render(body["messages"])}})
        answer = {"message": {"role": "assistant", "content": "a"}, "done": True, "done_reason": "length"}
        if body.get("logprobs") and self.logprobs is not None:
            top = [{"token": "a", "logprob": one} for one in self.logprobs[: body["top_logprobs"]]]
            answer["logprobs"] = [{"token": "a", "logprob": self.logprobs[0], "top_logprobs": top}]
        return send(handler, 200, answer)


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
