"""The command `everwake`. One file of this folder per command; results on stdout, the rest on stderr."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; its exit code: 0 well, 1 a finding, 2 wrong usage or configuration, 3 out of reach."""
    from everwake.errors import EverwakeError, MissingExtra

    for stream in (sys.stdout, sys.stderr):
        # A Windows console or a pipe in another encoding must not turn a `·` into a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        if sys.argv[1:2] == ["doctor"]:  # a gate before every commit: Typer alone takes longer than the doctor
            from everwake.cli._doctor import quick

            done = quick(sys.argv[2:])
            if done is not None:
                return done
        try:
            from everwake.cli._commands import run
        except ModuleNotFoundError as missing:
            if missing.name != "typer":
                raise
            raise MissingExtra("the command line", "typer") from None
        return run(sys.argv[1:])
    except EverwakeError as error:
        print(f"everwake: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
