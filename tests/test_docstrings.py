"""The examples in the docstrings run, and are there."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import ewma

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ewma.__path__, "ewma.")
    if not module.name.endswith("_core")
)
# Public, and with nothing to show.
WITHOUT_EXAMPLES = {"EwmaWarning"}


def docstrings(module_name):
    return doctest.DocTestFinder().find(importlib.import_module(module_name), module_name)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)  # some read examples/runs
    runner, reports = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    for test in docstrings(name):
        runner.run(test, out=reports.append)
    assert not reports, "".join(reports)


@pytest.mark.parametrize("name", ewma.__all__)
def test_public_names_have_examples(name):
    public = getattr(ewma, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(public, name)
    assert test.examples or name in WITHOUT_EXAMPLES


def test_examples_are_found():
    # Where they would run: `test_examples_run` passes over a module in which nothing is found.
    found = {test.name for name in MODULES for test in docstrings(name) if test.examples}
    public = {getattr(ewma, name) for name in set(ewma.__all__) - WITHOUT_EXAMPLES}
    assert found >= {f"{obj.__module__}.{obj.__name__}" for obj in public}
    assert found >= {"ewma._draw.draw"}
