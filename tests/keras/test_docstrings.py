"""The examples in the docstrings of `ewma_keras` run."""

import doctest
import importlib
import pkgutil

import pytest
from keras_steps import BACKEND

import ewma_keras

OTHERS = {"_tensorflow", "_torch"} - {f"_{BACKEND}"}
MODULES = sorted({m.name for m in pkgutil.iter_modules(ewma_keras.__path__)} - OTHERS)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(f"ewma_keras.{name}")
    runner, reports = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    for test in doctest.DocTestFinder().find(module):
        runner.run(test, out=reports.append)
    assert not reports, "".join(reports)


@pytest.mark.parametrize("name", ewma_keras.__all__)
def test_public_names_have_examples(name):
    (test,) = doctest.DocTestFinder(recurse=False).find(getattr(ewma_keras, name), name)
    assert test.examples
