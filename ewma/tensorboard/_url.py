"""Paths that are URLs, as text."""

from __future__ import annotations

import os
import re

# A scheme of one letter is a drive of Windows'. With `::`, one file system stands on another.
_URL = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:(//|:.*://)", re.IGNORECASE | re.DOTALL)

NO_FOLLOWING = (
    "only files on this machine's disks can be followed; read a URL again and again, or follow a "
    "copy of it that is kept up to date"
)

NO_WRITING = "output goes to this machine's disks; write it here, and copy it there"


def is_url(path: str) -> bool:
    """Return whether `path` leads off this machine's disks. What is there on them is no URL."""
    return _URL.match(path) is not None and not os.path.lexists(path)


def folder_name(url: str) -> str:
    """Return what the folder is called that a URL leads to; "" if it is called nothing.

    Examples
    --------
    >>> folder_name("https://host/logs/a/"), folder_name("zip://runs/b::logs.zip")
    ('a', 'b')
    >>> folder_name("zip://::there/logs.zip"), folder_name("s3://bucket/c/x.tfevents.1")
    ('logs', 'c')
    """
    path, *under = url.split("::")
    scheme, _, path = path.rpartition("://")
    parts = [part for part in path.split("?")[0].split("/") if part]
    if parts and "tfevents" in parts[-1] and not path.endswith("/"):
        parts.pop()
    if not parts and under:
        return re.sub(r"\.(zip|tar|tgz)\b.*", "", under[0].rstrip("/").rpartition("/")[2])
    host = 1 if scheme.startswith("http") else 0
    return parts[-1] if len(parts) > host and not set("*?[") & set(parts[-1]) else ""


def local_path(path: str) -> str:
    """Return the path that a ``file://`` URL stands for, and any other as it is."""
    if path[:7].lower() != "file://":
        return path
    from urllib.request import url2pathname

    return url2pathname(path[7:].removeprefix("localhost"))
