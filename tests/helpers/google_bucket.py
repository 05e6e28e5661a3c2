"""As much of a server of Google's storage as it takes to list and read."""

import json
import os
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch
from urllib.parse import parse_qs, quote, unquote, urlsplit

import fsspec

# gcsfs would ask Google what kind of bucket it is. It looks when it is imported.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

_OBJECTS = "/storage/v1/b/bucket/o"


@contextmanager
def google_bucket(files):
    """Put files into gs://bucket, where fsspec finds them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            path = url.path.removeprefix("/download")
            name = unquote(path.removeprefix(_OBJECTS)).removeprefix("/")
            if path == _OBJECTS:
                self._send(200, json.dumps(self._listing(**query)).encode())
            elif name not in files:
                self._send(404, b"{}")
            elif "alt" in query:
                first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
                self._send(206, files[name][first : last + 1])
            else:
                self._send(200, json.dumps(self._about(name)).encode())

        def _listing(self, prefix="", delimiter="", **_):
            items, prefixes = [], set()
            for name in sorted(name for name in files if name.startswith(prefix)):
                first, slash, _ = name.removeprefix(prefix).partition(delimiter or "\0")
                if slash:
                    prefixes.add(prefix + first + slash)
                else:
                    items.append(self._about(name))
            return {"items": items, "prefixes": sorted(prefixes)}

        def _about(self, name):
            link = f"http://{self.headers['Host']}/download{_OBJECTS}/{quote(name, safe='')}"
            return {
                "bucket": "bucket",
                "name": name,
                "size": str(len(files[name])),
                "mediaLink": f"{link}?alt=media",
            }

        def _send(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # the client has gone

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        options = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "token": "anon"}
        with patch.dict(fsspec.config.conf, {"gs": options}):
            yield
        server.shutdown()
        thread.join()
