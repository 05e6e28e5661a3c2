"""What the scripts that make `examples/runs/` share: the folder they write, the names in it."""

import argparse
from pathlib import Path


def new_folder(name: str, description: str | None) -> Path:
    """Return the folder named on the command line, or `runs/<name>` beside this file; make it.

    Raises
    ------
    SystemExit
        If the folder exists: a run written into an old one would be read as its continuation.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(__file__).parent / "runs" / name,
        help=f"where to write, a folder that does not exist yet (default: runs/{name})",
    )
    folder: Path = parser.parse_args().folder
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        parser.error(f"{folder} exists already: remove it, or name another folder")
    return folder


def drop_host_names(folder: Path) -> None:
    """Rename `events.out.tfevents.<time>.<host>.<pid>.<n>[.v2]` to `<time>.host.<n>[.v2]`.

    Writers put the machine's name and the process id into a file's name. Neither says anything
    about the run; the time does: TensorBoard reads the files of a run in the order of their names.
    """
    for run in {file.parent for file in folder.rglob("events.out.tfevents.*")}:
        for n, file in enumerate(sorted(run.glob("events.out.tfevents.*"))):
            time = file.name.split(".")[3]
            suffix = ".v2" if file.suffix == ".v2" else ""
            file.rename(run / f"events.out.tfevents.{time}.host.{n}{suffix}")
