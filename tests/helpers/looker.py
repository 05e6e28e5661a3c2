"""Following a log, look by look."""

from event_writer import event, record, simple

from ewma._follow import SmoothingFollower


class Looker:
    """Follows a path, and keeps what was said."""

    def __init__(self, path, beta=0.9, **filters):
        self.said = []
        self.follower = SmoothingFollower(
            path, beta, **filters, report=lambda problem: self.said.append(str(problem))
        )

    def look(self):
        return [point for points in self.follower.poll() for point in points]

    def values(self):
        return [point.value for point in self.look()]


def points(values, first=0):
    return b"".join(
        record(event(step, simple("loss", value))) for step, value in enumerate(values, first)
    )


def append(path, data):
    with path.open("ab") as file:
        file.write(data)
