"""Every drill of the simulator against a keeper that repairs by itself: what it was called, who or what cured it, how soon.

    python bench/remedies.py [--samples 3] [--quick] [--every 2s] [--jobs 4] [DRILL ...]

Each sample is a fleet of its own (`everwake up`, repairs on). The service is broken and left to the keeper. Another fleet, with
repairs stopped, is broken in the same way and healed by a hand that knows the cure: the floor, what the platform itself needs.
The hand does what the drill's row says (the same deploy, rollback or restart, by the platform's API), at the first moment at
which the fault can be known at all:

    a deploy that fails       when the platform has ended it; until then it is still trying
    wrong-sibling-url         when the deploy that brought it is live
    out-of-memory             at the first kill, for its reason is told with it
    crash-loop                at the second death: after the first one the platform's own restart brings it back, and only the
                              second says that it goes on so
    sleep                     at once, with one GET
    edge-502                  after the 60 s in which the platform restarts by itself what does not answer
    hang, flapping            no hand: the platform brings it back by itself

Time is from the break to the first good answer (of `wrong-sibling-url`: to a user's session, for the health path is good all the
while), in seconds of the platform's time. The keeper's own seconds are real at every speed, so all is at speed 1 but what waits
for the platform's 15 minutes: that is at speed 36, where these are the 25 real seconds that a process needs, and a second of the
keeper's counts as 36.
"""

import argparse
import asyncio
import contextlib
import json
import os
import queue
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from everwake.sim.drills import DRILLS

__all__ = ["main"]

HOMES = {
    "wrong-sibling-url": "backend", "redis-down": "redis-service", "redis-wrong-password": "redis-service",
    "redis-needs-tls": "redis-service",
}  # fmt: skip
# Where the platform's 15 minutes are waited for: they become the 25 s below which a real process could not follow.
SPEEDS = dict.fromkeys(("slow-start", "wrong-port", "redis-down", "redis-wrong-password", "redis-needs-tls"), 36.0)
NEVER_DOWN = ("deploy-superseded", "build-fails")
LEFT_TO_THE_PLATFORM = ("hang", "flapping")
CURES = {"mend": ("fix-variables", "point-to-sibling"), "rollback": ("rollback",), "restart": ("restart",)}
RECOVERS_S = 60.0  # within which the platform restarts by itself what fails its checks
TARGET = 1.3
ASK_S = 0.3  # the platform allows 400 questions a minute
OPEN = build_opener(ProxyHandler({}))
RUNNING = ("", "created", "queued", "build_in_progress", "update_in_progress", "pre_deploy_in_progress")
ENDED = ("proved", "unproved", "failed", "dropped")


def asked(url: str, body: object = None, key: str = "", within_s: float = 60.0) -> tuple[int, Any]:
    """Status and document; status 0 for no answer."""
    request = Request(url, data=None if body is None else json.dumps(body).encode())
    request.add_header("Accept", "application/json")
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with OPEN.open(request, timeout=within_s) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except HTTPError as refusal:
        with refusal:
            return refusal.code, {}
    except (URLError, OSError, ValueError):
        return 0, {}


class Run:
    """One `everwake up`. speed: platform seconds in a real one."""

    def __init__(self, up: dict[str, Any], speed: float, data: Path) -> None:
        self.up, self.speed, self.data = up, speed, data
        self.page = up["dashboard"]

    def fire(self, service: str, how: str) -> bool:
        """Break it, or heal it."""
        url = self.up["platform"]["url"].removesuffix("/v1") + "/sim/drills"
        return asked(url, {"service": service, "how": how}, self.up["platform"]["key"])[0] == 200

    def answers(self, service: str, how: str = "") -> bool:
        """Whether it is well for whoever uses it."""
        url = self.up["services"][service]["url"]
        if how == "wrong-sibling-url":
            body = {"user_id": f"bench-{secrets.token_hex(4)}"}
            return bool(asked(url + "/api/v1/chat/sessions", body, within_s=5.0)[1].get("status") == "ready")
        # A look of ours would wake who sleeps.
        return not (how == "sleep" and self.is_asleep(service)) and asked(url + "/health", within_s=1.0)[0] == 200

    def is_asleep(self, service: str) -> bool:
        """Whether it sleeps and nothing has come to wake it."""
        at = self.up["platform"]
        return service in (asked(at["url"].removesuffix("/v1") + "/sim/state", key=at["key"])[1].get("asleep") or ())

    def platform(self, service: str, path: str, body: object = None) -> Any:
        """The platform's own API."""
        url = f"{self.up['platform']['url']}/services/{self.up['services'][service]['id']}/{path}"
        return asked(url, body, self.up["platform"]["key"], within_s=10.0)[1]

    def deploys(self, service: str) -> list[dict[str, Any]]:
        """The newest first."""
        return [one["deploy"] for one in self.platform(service, "deploys?limit=20") or []]

    def deaths(self, service: str, since: float) -> int:
        """How often it has died since then (Unix seconds), as the platform tells."""
        events = [one["event"] for one in self.platform(service, "events?limit=50") or []]
        return sum(one["type"] == "server_failed" and _unix(one["timestamp"]) >= since for one in events)

    def service(self, name: str) -> dict[str, Any]:
        """As the keeper sees it."""
        return dict(asked(f"{self.page}/api/v1/services/{name}")[1])

    def remedy(self, name: str) -> dict[str, Any]:
        """How its repair stands."""
        return dict(asked(f"{self.page}/api/v1/services/{name}/remedy")[1])

    def cause(self, name: str, since: float) -> str | None:
        """What the newest incident since then was called."""
        items = asked(f"{self.page}/api/v1/incidents?service={name}")[1].get("items", [])
        return next((one["cause"] for one in items if _unix(one["opened_at"]) >= since - 1 and one["cause"]), None)

    def explained(self, name: str) -> str | None:
        """What `everwake why` calls it, for what no incident tells of."""
        argv = [sys.executable, "-m", "everwake", "why", name, "--json", "--data", str(self.data)]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        with contextlib.suppress(ValueError, LookupError):
            return str(json.loads(said.stdout)["causes"][0]["cause"])
        return None

    def well(self, name: str, within_s: float) -> bool:
        """Up, for two seconds on end, with no remedy under way."""
        until_s, good = time.monotonic() + within_s, 0
        while time.monotonic() < until_s and good < 8:
            run = self.remedy(name).get("run")
            is_busy = run is not None and run["state"] in ("running", "proving")
            good = good + 1 if self.service(name).get("state") == "up" and self.answers(name) and not is_busy else 0
            time.sleep(0.25)
        return good >= 8


def _unix(told: str) -> float:
    import datetime

    return datetime.datetime.fromisoformat(told).timestamp()


@dataclass
class Found:
    """What came of one sample. took_s, floor_s: real seconds from the break to the first good answer."""

    cause: str | None = None
    done: list[tuple[str, str]] = field(default_factory=list)
    person: str = ""
    was_down: bool = False
    took_s: float | None = None
    floor_s: float | None = None


def left_alone(run: Run, how: str, service: str, patience_s: float) -> Found:
    """Break it and let the keeper do what it will."""
    drill, found = DRILLS[how], Found()
    before = (run.remedy(service).get("run") or {}).get("id")
    remedies: dict[str, dict[str, Any]] = {}
    began_s, began = time.monotonic(), time.time()
    run.fire(service, how)
    while (now_s := time.monotonic() - began_s) < patience_s:
        if run.answers(service, how):
            found.took_s = now_s if found.took_s is None and found.was_down else found.took_s
        else:
            found.was_down, found.took_s = True, None
        told = run.remedy(service)
        known, thought = told.get("run"), told.get("thought")
        if known and known["id"] != before:
            remedies[known["id"]] = known
        if thought and thought["decision"] == "ask":
            found.person = thought["next"] or thought["why"]
        ended = [one for one in remedies.values() if one["state"] in ENDED]
        is_over = len(ended) == len(remedies)
        if ended and is_over and found.took_s is not None and ended[-1]["state"] == "proved":
            break
        if found.person and drill.person and is_over:
            time.sleep(5.0)  # nothing is done after it, either
            break
        good_for_s = now_s - found.took_s if found.took_s is not None else 0.0
        by_itself = how in LEFT_TO_THE_PLATFORM or drill.remedy == "wake"
        if by_itself and is_over and good_for_s > 15.0 and run.service(service).get("state") == "up":
            break
        if how in NEVER_DOWN and now_s > 20.0:
            break
        time.sleep(0.1)
    found.cause = run.cause(service, began)
    if found.cause is None and how in NEVER_DOWN:
        found.cause = run.explained(service)
    last = run.remedy(service).get("run")
    if last and last["id"] != before:
        remedies[last["id"]] = last
    found.done = [(one["remedy"], one["state"]) for one in remedies.values()]
    return found


def floor(run: Run, how: str, service: str, patience_s: float) -> float | None:
    """What the platform itself needs, with a hand that knows the cure: real seconds, None when it did not come back."""
    asked(f"{run.page}/api/v1/repairs/stop", {"by": "the bench"})
    good = next((one["id"] for one in run.deploys(service) if one["status"] == "live"), "")
    before = next((one["id"] for one in run.deploys(service)), "")
    began_s, began = time.monotonic(), time.time()
    until_s = began_s + patience_s

    def until(holds: Callable[[], object], every_s: float = 0.05) -> None:
        while time.monotonic() < until_s and not holds():
            time.sleep(every_s)

    def has_ended() -> bool:
        newest = next(iter(run.deploys(service)), None)
        return newest is not None and newest["id"] != before and newest["status"] not in RUNNING

    run.fire(service, how)
    remedy = DRILLS[how].remedy
    if how != "wrong-sibling-url":
        until(lambda: not run.answers(service, how))
    if how in ("crash-loop", "out-of-memory"):
        until(lambda: run.deaths(service, began) >= (2 if how == "crash-loop" else 1), ASK_S)
    elif how == "edge-502":
        until(lambda: time.monotonic() - began_s >= RECOVERS_S / run.speed)
    elif remedy in ("mend", "rollback"):
        until(has_ended, ASK_S)
    if how in LEFT_TO_THE_PLATFORM:
        pass
    elif remedy == "wake":
        asked(run.up["services"][service]["url"] + "/health")
    elif remedy == "rollback":
        run.platform(service, "rollback", {"deployId": good})
    elif remedy == "restart":
        run.platform(service, "restart", {})
    else:
        run.fire(service, "heal")
    until(lambda: run.answers(service, how))
    return time.monotonic() - began_s if run.answers(service, how) else None


@contextlib.contextmanager
def fleet(given: argparse.Namespace, speed: float, port: int) -> Iterator[Run]:
    """A fleet of its own, for what was repaired a moment ago counts against the next remedy."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, __file__, "--serve", folder, "--speed", str(speed), "--every", given.every]
        quiet = subprocess.DEVNULL
        with subprocess.Popen([*argv, "--port", str(port)], stdout=quiet, stderr=quiet) as serving:
            try:
                file = Path(folder) / "up.json"
                until_s = time.monotonic() + 90
                while not file.exists():
                    if serving.poll() is not None or time.monotonic() > until_s:
                        raise RuntimeError("everwake up did not start")
                    time.sleep(0.2)
                run = Run(json.loads(file.read_bytes()), speed, Path(folder))
                for name in ("redis-service", "chatbot", "backend"):
                    run.well(name, given.patience)
                yield run
            finally:
                serving.send_signal(signal.SIGINT)
                serving.wait(30)


def sample(how: str, given: argparse.Namespace, ports: "queue.Queue[int]") -> Found | None:
    """Broken and left alone; then broken and healed by a hand, where a machine can cure it. None: the fleet did not start."""
    speed, service, port = SPEEDS.get(how, 1.0), HOMES.get(how, "chatbot"), ports.get()
    try:
        for _ in range(2):
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired, OSError):
                with fleet(given, speed, port) as run:
                    found = left_alone(run, how, service, given.patience)
                if found.took_s is not None and DRILLS[how].remedy:
                    with fleet(given, speed, port) as run:
                        found.floor_s = floor(run, how, service, given.patience)
                return found
        return None
    finally:
        ports.put(port)


def verdict(how: str, found: Sequence[Found], ratio: float | None) -> str:
    """What misses, in words; "" when all is as the drill's row says."""
    drill, misses = DRILLS[how], []
    # Who was woken before anything was wrong was not called anything.
    wrong = sum(one.cause != drill.cause for one in found if one.cause is not None or drill.remedy != "wake")
    if wrong:
        misses.append(f"called otherwise in {wrong} of {len(found)}")
    wanted = CURES.get(drill.remedy, ())
    for one in found:
        names = tuple(name for name, state in one.done if state == "proved")
        others = [name for name, state in one.done if state != "proved" or name not in wanted]
        by_itself = how in LEFT_TO_THE_PLATFORM or how in NEVER_DOWN or drill.remedy in ("wait", "wake")
        if others:
            misses.append(f"did {', '.join(others)}")
        if drill.person and not one.person:
            misses.append("nobody was asked")
        if drill.remedy and not by_itself and not names:
            misses.append("not cured")
        if by_itself and one.was_down and one.took_s is None:
            misses.append("not back")
    if ratio is not None and ratio > TARGET:
        misses.append(f"over {TARGET} x")
    return "; ".join(dict.fromkeys(misses))


def did(how: str, found: Sequence[Found]) -> str:
    """What was done, or who was asked what."""
    told = []
    for one in found:
        if one.done:
            told.append(", ".join(name if state == "proved" else f"{name} ({state})" for name, state in one.done))
        elif one.person:
            told.append(f"asked {DRILLS[how].person or 'a person'}: {one.person}")
        elif one.was_down:
            told.append("left to the platform" if DRILLS[how].remedy != "wake" else "woken by the next look")
        else:
            told.append("nothing; it served on")
    return " | ".join(dict.fromkeys(told))


def row(how: str, found: Sequence[Found]) -> tuple[str, str, float | None]:
    """The line of one drill, what misses, and the ratio of the medians."""
    speed = SPEEDS.get(how, 1.0)
    took = [one.took_s for one in found if one.took_s is not None]
    least = [one.floor_s for one in found if one.floor_s is not None]
    causes = "/".join(sorted({one.cause or "-" for one in found}))
    ratio = statistics.median(took) / statistics.median(least) if took and least else None
    misses = verdict(how, found, ratio)
    times = f"{'':>7}"
    if took and least and ratio is not None:
        each = [one / statistics.median(least) for one in took]
        times = (
            f"{statistics.median(took) * speed:5.0f} s  floor {statistics.median(least) * speed:5.0f} s  {ratio:4.2f} x "
            f"({min(each):.2f}-{max(each):.2f})"
        )
    elif took:
        times = f"{statistics.median(took) * speed:5.0f} s"
    mark = "-" if misses else "+"
    return f"{mark} {how:<21} {causes:<21} {times:<41} {did(how, found)[:150]}", misses, ratio


def main() -> None:
    """Run it and print a row for each drill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("drills", nargs="*", default=list(DRILLS))
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one sample")
    parser.add_argument("--jobs", type=int, default=4, help="fleets at once; they mostly wait")
    parser.add_argument("--every", default="2s", help="the keeper's interval")
    parser.add_argument("--speed", type=float, default=1.0, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=19_800)
    parser.add_argument("--patience", type=float, default=150.0, help="real seconds for each drill")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given)
        return
    samples = 1 if given.quick else given.samples
    ports: queue.Queue[int] = queue.Queue()
    for n in range(given.jobs):
        ports.put(given.port + 300 * n)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    times = "once" if samples == 1 else f"{samples} times"
    print(
        f"each drill {times}, {given.jobs} fleets at once; a keeper that looks every {given.every}; load before {load:.1f}"
    )
    print("median time from break to first good answer, floor, ratio (lowest-highest); + as its row says, - not")
    missed: dict[str, str] = {}
    ratios: dict[str, float] = {}
    with ThreadPoolExecutor(given.jobs) as pool:
        waiting = {how: [pool.submit(sample, how, given, ports) for _ in range(samples)] for how in given.drills}
        for how, futures in waiting.items():
            found = [one for future in futures if (one := future.result()) is not None]
            if not found:
                missed[how] = "no fleet started"
                continue
            line, misses, ratio = row(how, found)
            print(line, flush=True)
            if misses:
                missed[how] = misses
            if ratio is not None:
                ratios[how] = ratio
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if ratios:
        worst = max(ratios, key=lambda how: ratios[how])
        print(
            f"median {statistics.median(ratios.values()):.2f} x the floor, worst {ratios[worst]:.2f} x ({worst}); "
            f"load after {load:.1f}"
        )
    print(f"as its row says: {len(given.drills) - len(missed)} of {len(given.drills)}")
    for how, why in missed.items():
        print(f"misses: {how}: {why}")


def serve(given: argparse.Namespace) -> None:
    """`everwake up` with an interval and a speed of ours."""
    from everwake.app.up import Haste, Up, up
    from everwake.cli._screen import Screen

    haste = Haste(speed=given.speed, every=given.every, heartbeat_every=given.every, chat_every=given.every, soak="0s")
    with Screen(is_quiet=True, is_json=False) as screen:
        asyncio.run(up(Up(port=given.port, data=Path(given.serve), haste=haste), os.environ, screen))


if __name__ == "__main__":
    main()
