"""docs/rules/variables.md, from the rules as they are: `python -m everwake.doctor.tables docs/rules/variables.md`."""

import sys
from pathlib import Path

from everwake.doctor.problems import PROBLEMS
from everwake.doctor.rules import rules

__all__ = ["main", "page"]

_HEAD = """# What the doctor finds in variables

Made from the code by `make docs`; change `src/everwake/doctor/problems.py` and the files of `src/everwake/doctor/rules/` instead.
How to call it: [doctor.md](../doctor.md).

An error will not work. Advice works, but. Where the same thing may be either (a placeholder that is required), the rule decides.
"""


def page() -> str:
    """The whole page: each name with its meaning, then each family with the cases that its test runs."""
    parts = [_HEAD, "\n| name | | what it means | looked for by |\n|---|---|---|---|\n"]
    families = {name: [rule.name for rule in rules() if name in rule.problems] for name in PROBLEMS}
    for name, (is_error, meaning) in PROBLEMS.items():
        level = "error" if is_error else "advice"
        by = ", ".join(f"[{one}](#{one})" for one in families[name])
        parts.append(f"| `{name}` | {level} | {_plain(meaning)} | {by} |\n")
    for rule in sorted(rules(), key=lambda one: one.name):
        finds = ", ".join(f"`{name}`" for name in rule.problems)
        examples = tuple(rule.examples)
        sound = sum(not example.finds for example in examples)
        parts.append(f"\n## {rule.name}\n\n{_plain(rule.about)} Names: {finds}.\n")
        parts.append(
            f"Held by {len(examples) - sound} examples and {sound} counter-examples in `rules/{rule.name}.py`.\n"
        )
    return "".join(parts)


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def main() -> None:
    """Write the page to the file that is named."""
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
