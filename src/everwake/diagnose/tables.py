"""docs/causes.md, written from the rules: what each cause means, the state it puts a service in, what its rule reads and beats.

`python -m everwake.diagnose.tables > docs/causes.md`
"""

from everwake.diagnose import _registry
from everwake.diagnose.causes import CAUSES

__all__ = ["main", "page"]

_HEAD = """\
# The causes

Generated from `everwake.diagnose` by `make docs`; a test holds it to the code. How they are found: [why.md](why.md).

A cause *explains away* those that only follow from it: when both were found, the others are listed as ruled out. *Reads* names
the places of which at least one must be known. A person is needed where no playbook can mend it.

| cause | what it means | state | reads | explains away |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = []
    for name, about in CAUSES.items():
        rule = _registry.rules()[name]
        state = (
            f"{about.state.value}{' (a person)' if about.needs_person else ''}{'' if about.is_fault else ', no fault'}"
        )
        beats = ", ".join(sorted(rule.beats)) or "-"
        rows.append(f"| `{name}` | {about.meaning} | {state} | {', '.join(sorted(rule.needs))} | {beats} |")
    return _HEAD + "\n".join(rows) + "\n"


def main() -> None:
    """Print the page."""
    import sys

    sys.stdout.write(page())


if __name__ == "__main__":
    main()
