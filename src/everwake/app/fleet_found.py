"""Which fleet file a command means: the one it was given, else the one that a running `everwake up` has written."""

from collections.abc import Callable, Mapping
from pathlib import Path

from everwake.app.platform import simulated
from everwake.checks import specs
from everwake.errors import Misused
from everwake.fleet.load import load
from everwake.fleet.schema import Fleet
from everwake.fleet.secrets import Partly, Where

__all__ = ["fleet_found", "fleet_meant", "fleet_required"]


def fleet_meant(file: Path, data: Path, *, data_is_named: bool) -> Path:
    """The fleet file of a command that names none. data_is_named: a folder that was named wins over the file that lies here.

    file: the default one. It gives way to the file that a running `everwake up` has written into `data`.
    """
    written = data / "everwake.toml"
    if (data_is_named or not file.exists()) and written.exists():
        said = simulated(data)
        if said is not None and said.get("dashboard"):
            return written
    return file


def fleet_found(
    file: Path, data: Path, environ: Mapping[str, str], needed: Callable[[Where], bool] = lambda where: False
) -> Fleet | None:
    """The fleet; None where there is no file. needed: which secrets must be there. Raises BadFleet."""
    if file.exists():
        return load(file, environ, specs(), resolver=Partly(environ, needed))
    written = data / "everwake.toml"
    if simulated(data) is not None and written.exists():
        return load(written, environ, specs(), resolver=Partly(environ, needed))
    return None


def fleet_required(
    file: Path, data: Path, environ: Mapping[str, str], needed: Callable[[Where], bool] = lambda where: False
) -> Fleet:
    """The same, for who can do nothing without one. Raises BadFleet, Misused."""
    found = fleet_found(file, data, environ, needed)
    if found is None:
        raise Misused(f"there is no fleet file {file}", hint="write one with `everwake init`, or name it with --fleet")
    return found
