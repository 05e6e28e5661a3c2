"""What several tests of this folder begin with."""

import pytest


@pytest.fixture
def log(tmp_path):
    """The path of a log that is not there yet."""
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "events.out.tfevents.1"
