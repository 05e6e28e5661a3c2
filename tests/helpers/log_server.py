"""A web server for event files, with the faults that they have."""

import html
import re
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit


class LogServer:
    """Serves what is in `files`, and pages of links for their folders.

    Parameters
    ----------
    ranges
        Whether it gives parts of a file; if not, it gives all of it whatever is asked for.
    lengths
        Whether it says how long a file is.
    """

    def __init__(self, files, *, ranges=True, lengths=True):
        self.files = {name: bytes(data) for name, data in files.items()}
        self.ranges, self.lengths = ranges, lengths
        self.status = {}
        """What to answer instead, by path."""
        self.on_get = lambda path, part: None
        """Called before each GET is answered, with the first and last byte asked for, if any."""
        self.asked = []
        """Method, path, and part of each request."""
        self.headers = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                server._answer(self)

            def do_GET(self):
                server._answer(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # the client has gone

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request):
        path = unquote(urlsplit(request.path).path).strip("/")
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        part = (int(found[1]), int(found[2])) if found else None
        self.asked.append((request.command, path, part))
        self.headers.append(dict(request.headers))
        if request.command == "GET":
            self.on_get(path, part)
        inside = {name for name in self.files if name.startswith(f"{path}/" if path else "")}
        if path in self.status:
            self._send(request, self.status[path], b"")
        elif path in self.files:
            data, status = self.files[path], 200
            if part is not None and self.ranges:
                status = 206 if part[0] < len(data) else 416
                data = data[part[0] : part[1] + 1]
            self._send(request, status, data, lengths=self.lengths or status == 206)
        elif inside:
            self._send(request, 200, self._page(path, inside), "text/html; charset=utf-8")
        else:
            self._send(request, 404, b"")

    def _page(self, path, inside):
        start = len(path) + 1 if path else 0
        names = {name[start:].partition("/") for name in inside}
        links = sorted({quote(name) + slash for name, slash, _ in names})
        page = '<a href="../">up</a>' + "".join(
            f'<a href="{html.escape(link)}">{html.escape(link)}</a>' for link in links
        )
        return page.encode()

    def _send(self, request, status, data, kind="application/octet-stream", lengths=True):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        if lengths:
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(data)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """Serve a folder by Python's own server; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
