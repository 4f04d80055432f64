"""The repository's own `render.yaml`: in the wheel as data, in a checkout at its root. One file, found in both."""

from pathlib import Path

__all__ = ["file"]


def file() -> Path:
    """Where it is.

    Raises:
        FileNotFoundError: neither in the wheel nor in a checkout.
    """
    here = Path(__file__).resolve()
    for found in (here.parent / "data" / "render.yaml", here.parents[3] / "render.yaml"):
        if found.is_file():
            return found
    raise FileNotFoundError("render.yaml of this distribution")
