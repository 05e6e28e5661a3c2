"""Paths to runs."""

import glob
import os
import sys

import pytest

from ewma.tensorboard._files import _matches, find_runs
from ewma.tensorboard._problems import UNREADABLE


@pytest.fixture
def tree(tmp_path):
    """Make the files of a tree below a folder and return that folder."""

    def make(*files):
        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return tmp_path

    return make


def find(*paths):
    problems = []
    runs = find_runs([os.fsdecode(path) for path in paths], problems.append)
    return {
        run.name: [os.path.basename(file.path) for file in run.files]  # noqa: PTH119
        for run in runs
    }, problems


def names(*paths):
    found, problems = find(*paths)
    assert not problems
    assert list(found) == sorted(found)
    return list(found)


class TestNames:
    def test_file(self, tree):
        top = tree("a/any name")
        assert find(top / "a/any name") == ({".": ["any name"]}, [])

    def test_folder(self, tree):
        top = tree("a/2.tfevents", "a/1.tfevents", "a/notes.txt", "a/3.tfevents.profile-empty")
        assert find(top / "a") == ({".": ["1.tfevents", "2.tfevents"]}, [])

    def test_tree(self, tree):
        top = tree("tfevents", "b/tfevents", "a/train/tfevents", "a/val/tfevents")
        assert names(top) == [".", "a/train", "a/val", "b"]

    def test_several_folders(self, tree):
        top = tree("runs/a/tfevents", "runs/b/x/tfevents")
        assert names(top / "runs/a", top / "runs/b") == ["a", "b/x"]
        assert names(top / "runs") == ["a", "b/x"]

    def test_several_files(self, tree):
        top = tree("a/1", "a/2", "b/1")
        assert find(top / "a/2", top / "a/1") == ({".": ["1", "2"]}, [])
        assert find(top / "a/2", top / "b/1", top / "a/1") == ({"a": ["1", "2"], "b": ["1"]}, [])

    def test_a_missing_sibling_changes_no_name(self, tree):
        top = tree("runs/a/tfevents")
        found, (problem,) = find(top / "runs/a", top / "runs/typo")
        assert list(found) == ["a"]
        assert problem.path == str(top / "runs/typo")

    def test_relative_path(self, tree, monkeypatch):
        monkeypatch.chdir(tree("a/tfevents", "b/tfevents"))
        assert names(".") == ["a", "b"]
        assert names("a", "b/../b") == ["a", "b"]

    def test_windows_drives(self, tree, monkeypatch):
        top = tree("a/tfevents")

        def no_common_path(paths):
            raise ValueError("Paths don't have the same drive")

        monkeypatch.setattr("os.path.commonpath", no_common_path)
        assert names(top / "a") == [str(top / "a").replace(os.sep, "/")]

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems' paths are Unicode")
    def test_not_utf8(self, tree):
        top = os.fsencode(tree()) + b"/\xff\n"
        os.makedirs(top + b"/b")  # noqa: PTH103
        with open(top + b"/b/tfevents", "wb"):  # noqa: PTH123
            pass
        assert names(os.path.dirname(top)) == ["\\xff\n/b"]  # noqa: PTH120
        _, (problem,) = find(top + b"/missing")
        assert str(problem).startswith(os.fsdecode(os.path.dirname(top)) + "/\\xff\\n/missing: ")  # noqa: PTH120


class TestGlob:
    def test_expansion(self, tree):
        top = tree("runs/a1/tfevents", "runs/a2/tfevents", "runs/b/tfevents")
        assert names(top / "runs/a*") == ["a1", "a2"]
        assert names(top / "runs/a*/*events") == ["a1", "a2"]
        assert names(top / "**/tfevents") == ["a1", "a2", "b"]

    @pytest.mark.parametrize(
        "pattern",
        [
            "**", "**/", "./**", "runs/**", "runs/**/", "runs//**//x", "**/x/**", "**/**", "r**",
            "*/**/*", "**/[[]1]/*", "**/.h/*", "runs/a/**/y", "**/b**/y",
        ],
    )  # fmt: skip
    def test_as_glob_has_it(self, tree, monkeypatch, pattern):
        monkeypatch.chdir(tree("runs/a/y", "runs/.h/y", "runs/x/b/y", "[1]/x/y", "top", ".hidden"))
        expected = {os.path.normpath(p) for p in glob.glob(pattern, recursive=True)}  # noqa: PTH207
        assert {os.path.normpath(p) for p in _matches(pattern)} == expected

    def test_links_in_circles(self, tree):
        top = tree("a/tfevents", "elsewhere/b/tfevents")
        (top / "a/out").symlink_to("../elsewhere")
        for name in ("l1", "l2", "a/l3"):
            (top / name).symlink_to(top)
        for pattern in ("**", "**/*tfevents*"):
            assert names(top / pattern) == ["a", "elsewhere/b"]
        for pattern in ("**/**/tfevents", "*/**"):
            assert len(names(top / pattern)) == 2
        assert names(top / "a/out/**/tfevents") == ["."]

    def test_literal_first(self, tree):
        top = tree("[ab]/tfevents", "a/tfevents")
        assert find(top / "[ab]") == ({".": ["tfevents"]}, [])

    def test_no_match(self, tree):
        found, (problem,) = find(tree() / "x*")
        assert not found
        assert problem.error is FileNotFoundError


class TestOnce:
    def test_the_same_path_twice(self, tree):
        top = tree("a/1.tfevents", "a/2.tfevents")
        assert find(top / "a", top / "a/2.tfevents", top / "a") == (
            {".": ["1.tfevents", "2.tfevents"]},
            [],
        )

    def test_symlink_to_a_folder_is_followed(self, tree):
        top = tree("elsewhere/a/tfevents", "runs/b/tfevents")
        (top / "runs/link").symlink_to(top / "elsewhere")
        assert names(top / "runs") == ["b", "link/a"]

    def test_symlink_loop_ends(self, tree, monkeypatch):
        top = tree("a/b/tfevents")
        (top / "a/b/loop").symlink_to(top)
        (top / "a/b/self").symlink_to("self")
        listed = []
        monkeypatch.setattr(
            "os.scandir", lambda path, scan=os.scandir: listed.append(path) or scan(path)
        )
        assert names(top) == ["a/b"]
        assert listed == [str(top), str(top / "a"), str(top / "a/b")]

    def test_a_folder_keeps_its_own_name(self, tree):
        top = tree("run7/x/tfevents")
        (top / "best").symlink_to("run7")
        (top / "alias").symlink_to("run7/x")
        assert names(top) == ["run7/x"]

    def test_a_link_from_another_folder_takes_no_name_away(self, tree):
        top = tree("runs/a/tfevents", "runs/b/1.tfevents")
        (top / "best").mkdir()
        (top / "best/model").symlink_to(top / "runs/a")
        (top / "best/1.tfevents").symlink_to(top / "runs/b/1.tfevents")
        assert names(top) == ["runs/a", "runs/b"]

    @pytest.mark.parametrize("link", [os.link, os.symlink])
    def test_a_run_that_begins_with_anothers_log(self, tree, link):
        top = tree("base/1.tfevents", "fork/2.tfevents")
        link(top / "base/1.tfevents", top / "fork/1.tfevents")
        link(top / "base/1.tfevents", top / "fork/again.tfevents")
        assert find(top)[0] == {
            "base": ["1.tfevents"],
            "fork": ["1.tfevents", "2.tfevents"],
        }

    def test_hard_links_are_files(self, tree):
        top = tree("a/tfevents")
        (top / "b").mkdir()
        os.link(top / "a/tfevents", top / "b/tfevents")
        assert names(top) == ["a", "b"]

    def test_links_alone_count_once(self, tree):
        top = tree("elsewhere/x/tfevents")
        for name in "ab":
            (top / "runs" / name).mkdir(parents=True)
            (top / "runs" / name / "tfevents").symlink_to(top / "elsewhere/x/tfevents")
        assert names(top / "runs") == ["a"]
        assert names(top) == ["elsewhere/x"]

    def test_a_pattern_leaves_pipes_alone(self, tree):
        top = tree("a/tfevents", "b/tfevents")
        os.mkfifo(top / "a/pipe")
        assert find(top / "*/*") == ({"a": ["tfevents"], "b": ["tfevents"]}, [])
        (top / "a/tfevents").unlink()
        _, (problem,) = find(top / "a/*")
        assert "there is no such file" in problem.message

    def test_file_system_without_numbers(self, tree, monkeypatch):
        top = tree("a/tfevents", "b/tfevents")
        (top / "c").symlink_to("a")
        plain = os.stat

        class Entry:
            """A DirEntry whose file has the number 0."""

            def __init__(self, entry):
                self._entry = entry

            def __getattr__(self, name):
                return getattr(self._entry, name)

            def stat(self):
                return unnumbered(self._entry.path)

        class Listing(list):
            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

        def unnumbered(path):
            fields = list(plain(path))
            fields[1] = 0
            return os.stat_result(fields)

        monkeypatch.setattr(
            "os.scandir",
            lambda path, scan=os.scandir: Listing(map(Entry, scan(path))),
        )
        monkeypatch.setattr("ewma.tensorboard._files.os.stat", unnumbered)
        assert names(top) == ["a", "b"]


class TestProblems:
    @pytest.mark.parametrize("path", ["missing", "missing/too", "", "zero\0byte"])
    def test_not_there(self, tree, monkeypatch, path):
        monkeypatch.chdir(tree("tfevents"))
        found, (problem,) = find(path)
        assert not found
        assert problem.path == path
        assert problem.exit_code == UNREADABLE
        assert str(problem).isprintable()

    def test_empty_folder(self, tree):
        top = tree("a/notes.txt", "b/tfevents")
        found, (problem,) = find(top / "a", top / "b")
        assert list(found) == ["b"]
        assert problem.path == str(top / "a")
        assert "no event files" in problem.message
        assert problem.exit_code == UNREADABLE

    def test_empty_folder_with_a_loop(self, tree):
        top = tree()
        (top / "loop").symlink_to(".")
        _, (problem,) = find(top)
        assert "no event files" in problem.message

    def test_broken_symlink(self, tree):
        top = tree("a/tfevents")
        (top / "a/link.tfevents").symlink_to("nowhere")
        (top / "a/other").symlink_to("nowhere")
        found, (problem,) = find(top)
        assert found == {"a": ["tfevents"]}
        assert problem.path == str(top / "a/link.tfevents")

    def test_folder_without_permission(self, tree, monkeypatch):
        top = tree("a/tfevents", "b/tfevents")

        def scandir(path, scan=os.scandir):
            if path.endswith("a"):
                raise PermissionError(13, "Permission denied", path)
            return scan(path)

        monkeypatch.setattr("os.scandir", scandir)
        found, (problem,) = find(top)
        assert list(found) == ["b"]
        assert problem.path == str(top / "a")
        assert problem.error is PermissionError
        _, problems = find(top / "a")
        assert [problem.error for problem in problems] == [PermissionError]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
    def test_pipe_in_a_folder_is_left_alone(self, tree):
        top = tree("a/tfevents")
        os.mkfifo(top / "a/pipe.tfevents")
        assert find(top) == ({"a": ["tfevents"]}, [])
