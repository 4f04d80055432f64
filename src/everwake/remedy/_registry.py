"""Which playbooks there are: every file of `playbooks/`, then what other distributions add."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from everwake.parts import Points, parts_of
from everwake.remedy import playbooks as folder
from everwake.remedy.plan import Playbook

__all__ = ["found", "playbooks"]


@cache
def playbooks() -> Mapping[str, Playbook]:
    """Name -> playbook, of this folder and of everybody else."""
    return found(entry_points)


def found(points: Points) -> Mapping[str, Playbook]:
    """Looked up anew. An entry point (group `everwake.playbooks`) names a `Playbook`.

    A cause that names one which cannot be loaded is then a person's.
    """
    return parts_of(folder, "PLAYBOOK", Playbook, lambda playbook: playbook.name, points, "everwake.playbooks")
