"""In which order the tests run."""


def pytest_collection_modifyitems(items):
    """Spread those that run programs for minutes: no worker is to be left with all in the end."""
    long = [item for item in items if item.path.name.startswith("test_keras")]
    if not long:
        return
    rest = [item for item in items if not item.path.name.startswith("test_keras")]
    share = -(-len(rest) // len(long))
    items[:] = [
        item
        for place, one in enumerate(long)
        for item in (one, *rest[place * share : (place + 1) * share])
    ]
