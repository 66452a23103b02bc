"""An editor as the protocol sees one: starts `jessy lsp` as a process and speaks JSON-RPC with it over its pipes."""

import itertools
import json
import os
import queue
import subprocess
import sys
import threading

import jessyfile

SECONDS = 60


class RefusedError(Exception):
    """The server answered with an error."""


class Editor:
    def __init__(self, root, *, snippets=True, encodings=("utf-16",)):
        environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(jessyfile.__file__))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jessyfile.cli", "lsp"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root, env=environment,
        )  # fmt: skip
        self.root = root
        self.numbers = itertools.count(1)
        self.inbox = queue.Queue()
        self.notes = []
        self.noise = []
        hear = (self._listen, lambda: self.noise.extend(self.process.stderr))
        self.threads = [threading.Thread(target=target, daemon=True) for target in hear]
        for thread in self.threads:
            thread.start()
        item = {"snippetSupport": snippets}
        capabilities = {
            "general": {"positionEncodings": list(encodings)},
            "textDocument": {"completion": {"completionItem": item}, "rename": {"prepareSupport": True}},
        }
        self.hello = self.ask("initialize", {"processId": None, "rootUri": root.as_uri(), "capabilities": capabilities})
        self.tell("initialized", {})

    # the wire

    def _listen(self):
        stream = self.process.stdout
        while header := stream.readline():
            size = 0
            while header.strip():
                name, _, value = header.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
                header = stream.readline()
            self.inbox.put(json.loads(stream.read(size)))
        self.inbox.put(None)

    def _send(self, message):
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self.process.stdin.flush()

    def _next(self):
        message = self.inbox.get(timeout=SECONDS)
        assert message is not None, b"".join(self.noise).decode()
        return message

    def tell(self, method, params):
        self._send({"method": method, "params": params})

    def ask(self, method, params):
        number = next(self.numbers)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                break
            self.notes.append(message)
        if "error" in message:
            raise RefusedError(message["error"]["message"])
        return message["result"]

    def wait_for(self, method, fits=lambda params: True):
        """The first message of the server that fits, new or not yet looked at."""
        for at, note in enumerate(self.notes):
            if note.get("method") == method and fits(note["params"]):
                return self.notes.pop(at)["params"]
        while True:
            message = self._next()
            if message.get("method") == method and fits(message["params"]):
                return message["params"]
            self.notes.append(message)

    # what an editor does

    def uri(self, name):
        return (self.root / name).as_uri()

    def open(self, name, text):
        document = {"uri": self.uri(name), "languageId": "jessyfile", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return self.mistakes(name)

    def type(self, name, text, version):
        document = {"uri": self.uri(name), "version": version}
        self.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def mistakes(self, name, fits=lambda diagnostics: True):
        wanted = self.uri(name)
        found = self.wait_for(
            "textDocument/publishDiagnostics", lambda p: p["uri"] == wanted and fits(p["diagnostics"])
        )
        return found["diagnostics"]

    def at(self, method, name, line, character, **more):
        where = {"textDocument": {"uri": self.uri(name)}, "position": {"line": line, "character": character}}
        return self.ask(f"textDocument/{method}", {**where, **more})

    def about(self, method, name, **more):
        return self.ask(f"textDocument/{method}", {"textDocument": {"uri": self.uri(name)}, **more})

    def leave(self):
        self.ask("shutdown", None)
        self.tell("exit", None)
        return self.process.wait(timeout=SECONDS)

    def end(self):
        """Whatever happened, leave no process behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=SECONDS)
        for thread in self.threads:
            thread.join(timeout=SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
