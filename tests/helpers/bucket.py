"""A server of S3's on this machine."""

import os
from contextlib import contextmanager
from unittest.mock import patch
from urllib.request import Request, urlopen

import fsspec
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

NO_KEYS = dict.fromkeys(
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"), "us-east-1"
)


@contextmanager
def bucket(files):
    """Put files into s3://bucket, which is found there by the environment; give fsspec's view."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with patch.dict(os.environ, NO_KEYS | {"AWS_ENDPOINT_URL": url}):
        # What an earlier server had is still there.
        urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
        store = fsspec.filesystem("s3")
        store.mkdir("bucket")
        for name, data in files.items():
            store.pipe(f"bucket/{name}", data)
        yield store
        store.clear_instance_cache()
    server.stop()
