"""`write_whole`: the old content or the new, never a part, and nothing left lying about."""

import os
import stat
import sys

import pytest

from ewma._output_file import write_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX modes and links")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "curves.csv"


@pytest.fixture
def umask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def write(path, content=b"new", *, replace=False):
    with write_whole(path, replace=replace) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("replace", [False, True])
def test_new_file(path, replace):
    with write_whole(path, replace=replace) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_replaced_at_the_end(path):
    path.write_bytes(b"old")
    with write_whole(path, replace=True) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, b"old"])
def test_error_while_writing(path, old, error):
    if old is not None:
        path.write_bytes(old)

    def write_half():
        with write_whole(path, replace=True) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert [file.read_bytes() for file in path.parent.iterdir()] == [old] * (old is not None)


def test_no_link_without_hard_links(path, monkeypatch):
    monkeypatch.setattr(os, "link", _no_links)
    write(path)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_made_by_somebody_else_meanwhile(path, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", _no_links)

    def write_meanwhile():
        with write_whole(path, replace=False) as file:
            file.write(b"new")
            path.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        write_meanwhile()
    assert path.read_bytes() == b"theirs"
    assert list(path.parent.iterdir()) == [path]


def _no_links(*_):
    raise PermissionError("no hard links here")


@pytest.mark.parametrize("replace", [False, True])
def test_on_the_disk_before_it_takes_the_place(path, replace, monkeypatch):
    if replace:
        path.write_bytes(b"old")
    before = list(path.parent.iterdir())
    seen = []

    def fsync(descriptor):
        size = os.fstat(descriptor).st_size
        seen.append((size, [file for file in path.parent.iterdir() if file.suffix != ".part"]))

    monkeypatch.setattr(os, "fsync", fsync)
    write(path, b"12345", replace=replace)
    assert seen == [(5, before)]


@posix
@pytest.mark.usefixtures("umask")
class TestMode:
    def test_new_file_follows_the_umask(self, path):
        write(path)
        assert mode(path) == 0o640

    def test_new_file_follows_the_umask_with_force(self, path):
        write(path, replace=True)
        assert mode(path) == 0o640

    @pytest.mark.parametrize("old", [0o600, 0o644, 0o666])
    def test_replaced_file_keeps_its_own(self, path, old):
        path.touch()
        path.chmod(old)
        write(path, replace=True)
        assert mode(path) == old

    def test_private_from_the_first_byte(self, path):
        path.touch()
        path.chmod(0o600)
        with write_whole(path, replace=True) as file:
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600


@posix
class TestLink:
    @pytest.fixture
    def target(self, tmp_path, path):
        target = tmp_path / "elsewhere" / "target.csv"
        target.parent.mkdir()
        path.symlink_to("elsewhere/target.csv")
        return target

    def test_stays_a_link(self, path, target):
        target.write_bytes(b"old")
        write(path, replace=True)
        assert path.is_symlink()
        assert target.read_bytes() == b"new"
        assert list(target.parent.iterdir()) == [target]

    def test_to_nothing(self, path, target):
        write(path)
        assert path.is_symlink()
        assert target.read_bytes() == b"new"


def test_longest_name(tmp_path):
    path = tmp_path / ("x" * 251 + ".csv")
    try:
        path.touch()
    except OSError:
        pytest.skip("names are shorter here")
    path.unlink()
    write(path)
    assert path.read_bytes() == b"new"
