"""Which platforms there are, and what is not one."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from everwake.errors import Misused
from everwake.fleet.schema import Secret
from everwake.platforms import _registry
from everwake.platforms._kind import Access, PlatformKind
from everwake.platforms.render import API, PLATFORM
from tests.support.fake_clock import FakeClock


@dataclass
class _Point:
    name: str
    value: object

    def load(self) -> object:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def points(*values: object) -> Callable[..., Iterable[EntryPoint]]:
    def found(*, group: str) -> Any:
        assert group == "everwake.platforms"
        return [_Point(f"point-{n}", value) for n, value in enumerate(values)]

    return found


def test_our_own_are_found_and_each_says_what_it_is() -> None:
    found = _registry.platforms()
    assert set(found) == {"render", "sim"}
    for name, kind in found.items():
        assert isinstance(kind, PlatformKind)
        assert (kind.name, bool(kind.about), kind.key_variable) == (name, True, "RENDER_API_KEY")


def test_somebody_elses_is_added_and_cannot_replace_ours(caplog: pytest.LogCaptureFixture) -> None:
    other = replace(PLATFORM, name="fly")
    found = _registry.found(points(other, replace(PLATFORM, about="not ours"), "nonsense", ImportError("gone")))
    assert set(found) == {"render", "sim", "fly"}
    assert found["render"] is PLATFORM
    assert caplog.text.count("entry_point") >= 3


def test_each_is_connected_without_a_call() -> None:
    access = Access(key=Secret("a-key", "env RENDER_API_KEY"), url="http://127.0.0.1:1/v1")
    for name, kind in _registry.platforms().items():
        connected = kind.connect(access, FakeClock())
        assert (connected.name, connected.verbs, "a-key" in repr(connected)) == (name, kind.verbs, False)
    assert API in repr(PLATFORM.connect(Access(key=Secret("a-key")), FakeClock()))
    assert "a-key" not in repr(access)


def test_the_stand_in_has_no_usual_address() -> None:
    with pytest.raises(Misused, match="no address") as misused:
        _registry.platforms()["sim"].connect(Access(key=Secret("a-key")), FakeClock())
    assert "up.json" in (misused.value.hint or "")


def test_neither_the_registry_nor_the_api_loads_the_official_package() -> None:
    program = (
        "import sys, everwake.platforms._registry as r; r.platforms(); import everwake.sim.api.app; "
        "print([n for n in ('render', 'httpx', 'websockets', 'fastapi') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
