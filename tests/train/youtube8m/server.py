"""A loopback server of files that misbehaves as it is told: one fault per request, then it serves well."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Fault:
    """How one request ends badly.

    Attributes:
        status: Answer with this status and no file.
        headers: Sent besides, and instead of those that would be sent.
        break_after: Send so many bytes, and end the connection (all by default).
        resets: End it with a reset instead of a close.
        stalls_seconds: Wait so long before it ends.
        ignores_range: Send the whole file whatever was asked for.
        shifts_range: Send another part than the one that was asked for.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    resets: bool = False
    stalls_seconds: float = 0.0
    ignores_range: bool = False
    shifts_range: bool = False


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]


class FileServer:
    """What it serves, what goes wrong, and what was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes] = {}
        self.always: dict[str, Fault] = {}
        self.once: dict[str, list[Fault]] = defaultdict(list)
        self.requests: list[Request] = []
        self.sent_count = 0
        self.most_at_once = 0
        self.pause_seconds = 0.0
        self.lock = threading.Lock()
        self._at_once = 0

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def take_fault(self, path: str) -> Fault:
        with self.lock:
            if self.once[path]:
                return self.once[path].pop(0)
            return self.always.get(path, Fault())

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self.lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            time.sleep(self.pause_seconds)
            yield
        finally:
            with self.lock:
                self._at_once -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: FileServer

    def do_GET(self) -> None:
        with self.files.counted():
            self._serve()

    def _serve(self) -> None:
        self.files.requests.append(
            Request(self.path, {key.lower(): value for key, value in self.headers.items()})
        )
        fault = self.files.take_fault(self.path)
        data = self.files.files.get(self.path)
        if fault.status or data is None:
            self.send_response(fault.status or 404)
            self._send_headers({"Content-Length": "0"} | fault.headers)
            return
        etag = f'"{md5(data).hexdigest()}"'
        begin = self._wanted_begin(etag, len(data), fault)
        if begin > len(data):
            self.send_response(416)
            self._send_headers({"Content-Length": "0", "Content-Range": f"bytes */{len(data)}"})
            return
        headers = {"ETag": etag, "Content-Length": str(len(data) - begin)}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self.send_response(206 if begin else 200)
        self._send_headers(headers | fault.headers)
        self._send_body(data[begin:], fault)

    def _wanted_begin(self, etag: str, length: int, fault: Fault) -> int:
        wanted = self.headers.get("Range")
        if wanted is None or fault.ignores_range or self.headers.get("If-Range") not in {None, etag}:
            return 0
        begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        return begin - 5 if fault.shifts_range else begin + (1 if begin == length else 0)

    def _send_headers(self, headers: dict[str, str]) -> None:
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def _send_body(self, body: bytes, fault: Fault) -> None:
        part = body if fault.break_after is None else body[: fault.break_after]
        self.wfile.write(part)
        self.wfile.flush()
        with self.files.lock:
            self.files.sent_count += len(part)
        time.sleep(fault.stalls_seconds)
        if fault.break_after is None:
            return
        self.close_connection = True
        if fault.resets:
            time.sleep(0.05)  # What was sent arrives first: a reset throws away what has not been read.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # The connection was ended on purpose.
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # Broken connections are what it is for.


@contextmanager
def serve_files() -> Iterator[FileServer]:
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        files = FileServer(server.server_address[1])
        handler.files = files  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield files
        finally:
            server.shutdown()
            thread.join()
