"""Which fleet file a command means: the one it was given, else the one that a running `everwake up` has written."""

from collections.abc import Callable, Mapping
from pathlib import Path

from everwake.app.platform import simulated
from everwake.checks import specs
from everwake.errors import Misused
from everwake.fleet.load import load
from everwake.fleet.schema import Fleet
from everwake.fleet.secrets import Partly, Where

__all__ = ["fleet_found", "fleet_required"]


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
