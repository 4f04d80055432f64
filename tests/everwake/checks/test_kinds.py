"""Promises that every kind of check keeps, found the way the keeper finds them; a new file is held to them with no edit here."""

import asyncio
import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

import everwake.checks
from everwake.checks import CheckKind, Checks, kinds, specs
from everwake.fleet.load import load
from everwake.fleet.schema import Secret, Service
from everwake.model import FailureKind
from tests.support import faulty
from tests.support.faulty import serve

KINDS = list(kinds().values())
OBSERVED = [kind for kind in KINDS if kind.observe is not None]


def named(kind: CheckKind) -> str:
    return kind.name


def spec_for(kind: CheckKind, port: int) -> Any:
    """A spec that points at a port of loopback, made from the service alone wherever the kind allows that."""
    service = Service(name="chatbot", url=f"http://127.0.0.1:{port}", heartbeat="/ws/keepalive")
    spec = kind.settled(kind.spec(), service)
    if kind.name == "tls":
        spec = dataclasses.replace(spec, port=port)
    return spec


def test_each_file_of_the_folder_is_a_kind_and_nothing_else_is() -> None:
    folder = Path(everwake.checks.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.name.startswith("_")}
    assert files <= set(kinds())
    assert files == {"http", "heartbeat", "chat", "redis", "tcp", "tls", "dns"}


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_a_kind_looks_once_or_follows_and_says_what_it_asks(kind: CheckKind) -> None:
    assert (kind.observe is None) != (kind.follow is None)
    assert kind.help.rstrip().endswith((".", "?"))
    assert kind.observe is None or inspect.iscoroutinefunction(kind.observe)


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_every_setting_is_frozen_explained_and_within_its_own_range(kind: CheckKind) -> None:
    spec = spec_for(kind, 1)
    for field in dataclasses.fields(kind.spec):
        if not field.init:
            continue
        assert field.metadata.get("help"), f"{kind.name}.{field.name}"
        ge, le = field.metadata["ge"], field.metadata["le"]
        if isinstance(value := getattr(spec, field.name), (int, float)) and not isinstance(value, bool):
            assert ge is None or ge <= value, field.name
            assert le is None or value <= le, field.name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(spec, field.name, None)


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_what_the_file_leaves_out_comes_from_the_service(kind: CheckKind) -> None:
    assert "127.0.0.1" in repr(spec_for(kind, 4321))


@pytest.mark.parametrize("kind", OBSERVED, ids=named)
async def test_a_refused_connection_is_refused_for_every_kind(checks: Checks, kind: CheckKind) -> None:
    with faulty.refusing_port() as port:
        seen = await checks.run(kind, spec_for(kind, port), service="chatbot", timeout_s=5.0)
    assert seen.check == kind.name
    assert seen.service == "chatbot"
    if kind.name == "dns":
        assert seen.failure is None
    else:
        assert seen.failure is not None
        assert seen.failure.kind is FailureKind.REFUSED


@pytest.mark.parametrize("kind", [kind for kind in OBSERVED if kind.name not in ("dns", "tcp")], ids=named)
async def test_silence_runs_out_of_time_for_every_kind(checks: Checks, kind: CheckKind) -> None:
    async with serve(faulty.never_says_anything) as server:
        seen = await checks.run(kind, spec_for(kind, server.port), service="chatbot", timeout_s=0.3)
    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.TIMEOUT
    assert 0.29 <= seen.took_s < 1.0


@pytest.mark.parametrize("kind", [kind for kind in OBSERVED if kind.name not in ("dns", "tcp")], ids=named)
async def test_nonsense_is_a_failure_of_the_target_for_every_kind(checks: Checks, kind: CheckKind) -> None:
    async def babbles(line: faulty.Connection) -> None:
        await line.reader.read(1)
        await line.send(b"\x00\xffnonsense\r\n" * 10_000)
        await line.hold()

    async with serve(babbles) as server:
        seen = await checks.run(kind, spec_for(kind, server.port), service="chatbot", timeout_s=5.0)
    assert seen.failure is not None
    assert seen.failure.kind in (FailureKind.BAD_PROTOCOL, FailureKind.TLS_FAILED)


@pytest.mark.parametrize("kind", OBSERVED, ids=named)
async def test_a_cancelled_look_lets_go_at_once(checks: Checks, kind: CheckKind) -> None:
    async with serve(faulty.never_says_anything) as server:
        looking = asyncio.create_task(checks.run(kind, spec_for(kind, server.port), service="chatbot", timeout_s=30.0))
        await asyncio.sleep(0)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking


@pytest.mark.parametrize("kind", [kind for kind in OBSERVED if kind.name != "dns"], ids=named)
async def test_no_kind_connects_to_a_private_address_that_the_fleet_forbids(kind: CheckKind) -> None:
    from everwake.clock import SystemClock

    async with Checks(SystemClock(), allow_private=False) as checks, serve(faulty.says()) as server:
        seen = await checks.run(kind, spec_for(kind, server.port), service="chatbot", timeout_s=5.0)
        assert server.connections == 0
    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.ADDRESS_REFUSED


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_no_secret_of_a_spec_can_be_read_from_its_text(kind: CheckKind) -> None:
    secret = Secret("hunter2hunter2", "env X")
    values: dict[str, Any] = {"redis": {"url": secret}, "heartbeat": {"token": secret}}.get(kind.name, {})
    if kind.name in ("http", "chat"):
        values = {"headers": {"Authorization": secret}}
    fields = {field.name for field in dataclasses.fields(kind.spec)}
    assert set(values) <= fields
    if values:
        assert "hunter2" not in repr(kind.spec(**values))


def test_the_documentation_names_every_kind_and_setting_as_declared() -> None:
    text = (Path(__file__).parents[3] / "docs" / "checks.md").read_text()
    for kind in KINDS:
        assert f"### `{kind.name}`\n\n{kind.help.strip()}\n" in text
        section = text.partition(f"### `{kind.name}`")[2].partition("\n##")[0]
        for field in dataclasses.fields(kind.spec):
            if field.metadata:
                name = field.metadata.get("key") or field.name
                assert f"| `{name}` |" in section, f"{kind.name}.{name}"
                assert field.metadata["help"] in section, f"{kind.name}.{name}"
    for failure in FailureKind:
        assert f"`{failure}`" in text


def test_everything_a_fleet_file_can_ask_for_is_read_by_the_loader(tmp_path: Path) -> None:
    path = tmp_path / "everwake.toml"
    path.write_text(
        """
        [fleet]
        name = "all"
        [[service]]
        name = "chatbot"
        url = "https://chatbot.example:8443"
        timeout = "20s"
        [[service.check]]
        kind = "http"
        path = "/other"
        headers = { Authorization = { env = "TOKEN" }, X-Plain = "1" }
        expect = { status = 204, json = { "a.b" = 1 }, below_ms = 500 }
        connect = "2s"
        [[service.check]]
        kind = "chat"
        through = "backend"
        poll = "500ms"
        [[service.check]]
        kind = "redis"
        url = { env = "REDIS_URL" }
        [[service.check]]
        kind = "tcp"
        [[service.check]]
        kind = "tls"
        days_left = 21
        [[service.check]]
        kind = "dns"
        addresses = ["192.0.2.1"]
        """
    )
    fleet = load(path, {"TOKEN": "Bearer x", "REDIS_URL": "rediss://:pw@redis.example"}, specs())
    service = fleet.services[0]
    settled = {check.kind: kinds()[check.kind].settled(check.spec, service) for check in service.checks}
    assert set(settled) == set(specs()) == {kind.name for kind in OBSERVED}
    assert settled["http"].url == "https://chatbot.example:8443/other"
    assert settled["http"].connect_s == 2.0
    assert "Authorization: Bearer x" in settled["http"].manner.headers
    assert settled["chat"].poll_s == 0.5
    assert (settled["tcp"].host, settled["tcp"].port) == ("chatbot.example", 8443)
    assert settled["tls"].days_left == 21
    assert settled["dns"].addresses == ("192.0.2.1",)
    assert settled["redis"].url.reveal() == "rediss://:pw@redis.example"
