"""The Redis service as a process, in front of a real Redis that is stopped, frozen, locked and encrypted."""

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.processes import Service, running
from tests.support.redis_server import RedisServer

SECRET = "hunter2-Very/Secret:"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", password=SECRET) as server:
        yield server


def ask(service: Service, method: str = "GET", path: str = "/health") -> tuple[int, dict[str, str], Any]:
    """Status, headers, body."""
    line = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        line.request(method, path)
        answer = line.getresponse()
        raw = answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(raw) if raw else None
    finally:
        line.close()


def unhealthy(service: Service, reason: str) -> None:
    """It says 503 as a problem document with this reason, within its deadline."""
    started = time.monotonic()
    status, headers, body = ask(service)
    assert time.monotonic() - started < 5  # 2 s, and what a busy machine adds
    assert (status, headers["content-type"], headers["retry-after"]) == (503, "application/problem+json", "5")
    assert (body["code"], body["status"], body["health"], body["service"]) == (
        "redis_unavailable", 503, "unhealthy", "redis_service",
    )  # fmt: skip
    assert body["redis"] == {"reason": reason}
    assert body["detail"] == f"Redis does not answer: {reason}."  # and neither host nor port
    assert "Secret" not in json.dumps(body) + service.log


def healthy_again(service: Service) -> None:
    deadline = time.monotonic() + 10
    while (seen := ask(service))[0] != 200:
        assert time.monotonic() < deadline, seen


def test_it_is_healthy_while_redis_answers(redis: RedisServer) -> None:
    with running("redis-service", {"REDIS_URL": redis.url}) as service:
        for path in ("/health", "/health/ready"):
            status, _, body = ask(service, path=path)
            assert (status, body["status"], body["service"]) == (200, "healthy", "redis_service")
            assert 0 < body["redis"]["latency_ms"] < 5000
            assert ask(service, "HEAD", path)[::2] == (200, None)
        service.until_line("Redis service initialized")
        assert ask(service, path="/")[2]["health"] == "/health"
        with connect(f"ws://127.0.0.1:{service.port}/ws/keepalive") as line:
            ping = json.loads(line.recv(10))
            assert (ping["type"], ping["service"], ping["seq"]) == ("ping", "redis_service", 0)
        assert SECRET not in service.log
        service.terminate()
        assert service.wait(10) == 0


def test_it_says_503_while_redis_is_gone_and_recovers_by_itself(redis: RedisServer) -> None:
    with running("redis-service", {"REDIS_URL": redis.url}) as service:
        redis.kill()
        deadline = time.monotonic() + 5
        while ask(service)[0] == 200:  # an answer of the last second may be told once more
            assert time.monotonic() < deadline
        unhealthy(service, "refused")
        redis.start()
        healthy_again(service)
        service.until_line("Redis answers again")


def test_a_frozen_redis_keeps_nobody_waiting(redis: RedisServer) -> None:
    with running("redis-service", {"REDIS_URL": redis.url}) as service:
        redis.freeze()
        deadline = time.monotonic() + 10
        while ask(service)[0] == 200:
            assert time.monotonic() < deadline
        started = time.monotonic()
        with ThreadPoolExecutor(40) as people:
            list(people.map(lambda _: unhealthy(service, "timeout"), range(40)))
        assert time.monotonic() - started < 8
        redis.thaw()
        healthy_again(service)
        redis.freeze()
        service.terminate()
        assert service.wait(10) == 0


def test_it_starts_while_redis_is_frozen_and_says_when_it_is_there(redis: RedisServer) -> None:
    redis.freeze()
    with running("redis-service", {"REDIS_URL": redis.url}, until_up=False) as service:
        service.until_line("Server started successfully")
        unhealthy(service, "timeout")
        assert "Redis service initialized" not in service.log
        redis.thaw()
        service.until_line("Redis service initialized", within_s=30)


def test_a_wrong_password_is_named_and_not_shown(redis: RedisServer) -> None:
    with running("redis-service", {"REDIS_URL": redis.url_with(password="Secret-no")}, until_up=False) as service:
        service.until_line("Server started successfully")
        unhealthy(service, "auth")


def test_without_redis_it_says_so() -> None:
    with running("redis-service", {}, until_up=False) as service:
        service.until_line("Redis not configured")
        service.until_line("Server started successfully")
        unhealthy(service, "not_configured")


def test_it_speaks_tls_to_a_certificate_it_trusts_and_to_no_other(tmp_path: Path) -> None:
    with RedisServer(tmp_path, password=SECRET, tls=True) as redis:
        with running("redis-service", {"REDIS_URL": redis.url}) as service:
            assert ask(service)[0] == 200
        with running("redis-service", {"REDIS_URL": redis.url_with(trusted=False)}, until_up=False) as service:
            service.until_line("Server started successfully")
            unhealthy(service, "tls")
        # As the platform's own trust store would name it.
        environ = {"REDIS_URL": redis.url_with(trusted=False), "SSL_CERT_FILE": str(redis.ca_file)}
        with running("redis-service", environ) as service:
            assert ask(service)[0] == 200
