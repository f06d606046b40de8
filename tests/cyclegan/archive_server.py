"""Archives made in memory, a server that sends them as a test plans, and the form that every refusal has."""

import hashlib
import io
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest


def zipped(files):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return memory.getvalue()


def tarred(files, *extra, mode="w:gz"):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return memory.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@contextmanager
def refused(error, *words):
    """The error is one sentence that has all the words."""
    with pytest.raises(error) as caught:
        yield
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@contextmanager
def serving(files):
    """A server on this machine: `.plan` says how to answer, `.asked` what was asked, `.address` where."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        server.asked = []  # path, Range, If-Range
        server.address = f"http://127.0.0.1:{server.server_port}"
        server.plan = SimpleNamespace(
            files=dict(files),
            status=200,
            ranges=True,
            heeds_if_range=True,
            early_bytes=0,  # how far before the asked offset a range begins
            etag='"first"',
            modified="Sun, 02 Apr 2017 10:00:00 GMT",
            kind="application/zip",
            tells_length=True,
            cuts=[],  # where each answer in turn breaks off
            hold=threading.Event(),  # and how long it stays silent before it does
            hold_s=0.0,
        )
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.plan.hold.set()
        server.shutdown()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        plan = self.server.plan
        self.server.asked.append((self.path, self.headers["Range"], self.headers["If-Range"]))
        body = plan.files.get(self.path.partition("?")[0])
        if body is None or plan.status != 200:
            self.send_error(404 if body is None else plan.status)
            return
        start = self.start(body)
        if start is not None:
            self.send(body, start)

    def start(self, body):
        """The offset to send from; None if the range was refused."""
        plan, asked = self.server.plan, self.headers["Range"]
        fresh = not plan.heeds_if_range or self.headers["If-Range"] in (plan.etag, plan.modified)
        if not (plan.ranges and asked and fresh):
            return 0
        start = int(asked.removeprefix("bytes=").rstrip("-")) - plan.early_bytes
        if start < len(body):
            return start
        self.send_response(416)
        self.send_header("Content-Range", f"bytes */{len(body)}")
        self.end_headers()
        return None

    def send(self, body, start):
        plan = self.server.plan
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for name, value in (("ETag", plan.etag), ("Last-Modified", plan.modified), ("Content-Type", plan.kind)):
            if value:
                self.send_header(name, value)
        if plan.tells_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = plan.cuts.pop(0) if plan.cuts else len(body)
        self.wfile.write(body[start : max(cut, start)])
        if cut < len(body):
            self.wfile.flush()
            plan.hold.wait(plan.hold_s)

    def log_message(self, *_):
        pass
