"""Every drill of the simulator against a keeper that repairs by itself: what it was called, what cured it, how long that took.

    python bench/remedies.py [--speed 30] [--every 5s] [DRILL ...]

For each drill the service is broken and left to the keeper. Then, with repairs stopped, it is broken once more and healed by a
hand that knows all, once the platform has ended the deploy that broke it and nobody is answered any more: that is the floor,
what the platform itself needs. Times are from the break to the first good answer, in seconds of the platform's time. The keeper's
own seconds are real at every speed, so only `--speed 1` compares like with like; the drills that wait for the platform's 15
minutes are for a faster one.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
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
OPEN = build_opener(ProxyHandler({}))
RUNNING = ("", "created", "queued", "build_in_progress", "update_in_progress", "pre_deploy_in_progress")
ENDED = ("proved", "unproved", "failed", "dropped")


def asked(url: str, body: object = None, key: str = "", within_s: float = 60.0) -> tuple[int, dict[str, Any]]:
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

    def __init__(self, up: dict[str, Any], speed: float) -> None:
        self.up, self.speed = up, speed
        self.page = up["dashboard"]

    def fire(self, service: str, how: str) -> bool:
        url = self.up["platform"]["url"].removesuffix("/v1") + "/sim/drills"
        return asked(url, {"service": service, "how": how}, self.up["platform"]["key"])[0] == 200

    def answers(self, service: str) -> bool:
        return asked(self.up["services"][service]["url"] + "/health", within_s=1.0)[0] == 200

    def newest(self, service: str) -> str:
        id = self.up["services"][service]["id"]
        url = f"{self.up['platform']['url']}/services/{id}/deploys?limit=1"
        request = Request(url, headers={"Authorization": f"Bearer {self.up['platform']['key']}"})
        with contextlib.suppress(OSError, ValueError, LookupError), OPEN.open(request, timeout=5) as answer:
            return str(json.loads(answer.read())[0]["deploy"]["status"])
        return ""

    def service(self, name: str) -> dict[str, Any]:
        return asked(f"{self.page}/api/v1/services/{name}")[1]

    def remedy(self, name: str) -> dict[str, Any]:
        return asked(f"{self.page}/api/v1/services/{name}/remedy")[1]

    def well(self, name: str, within_s: float) -> bool:
        """Up, for two seconds on end, with no remedy under way."""
        until_s, good = time.monotonic() + within_s, 0
        while time.monotonic() < until_s and good < 8:
            run = self.remedy(name).get("run")
            is_busy = run is not None and run["state"] in ("running", "proving")
            good = good + 1 if self.service(name).get("state") == "up" and self.answers(name) and not is_busy else 0
            time.sleep(0.25)
        return good >= 8


def left_alone(run: Run, how: str, service: str, patience_s: float) -> dict[str, Any]:
    """Break it and let the keeper do what it will; then heal what is left."""
    before = (run.remedy(service).get("run") or {}).get("id")
    began_s = time.monotonic()
    run.fire(service, how)
    bad_s = good_s = None
    remedies: dict[str, dict[str, Any]] = {}
    cause, person, quiet = None, "", 0
    while time.monotonic() - began_s < patience_s:
        now_s = time.monotonic() - began_s
        if run.answers(service):
            good_s = now_s if good_s is None and bad_s is not None else good_s
        else:
            bad_s, good_s = now_s if bad_s is None else bad_s, None
        told = run.remedy(service)
        known, thought = told.get("run"), told.get("thought")
        if known and known["id"] != before:
            remedies[known["id"]] = known
            cause = known["cause"]
        if thought and thought["decision"] == "ask":
            person, cause = thought["why"], cause or run.service(service).get("cause")
        ended = [one for one in remedies.values() if one["state"] in ENDED]
        if (ended and good_s is not None and ended[-1]["state"] == "proved") or (person and now_s > patience_s / 2):
            break
        quiet = quiet + 1 if bad_s is None else 0
        if quiet > 100 and now_s > 20:
            break  # nobody was ever worse off
        time.sleep(0.1)
    done = [f"{one['remedy']} {one['state']}" for one in remedies.values()]
    run.fire(service, "heal")
    return {"cause": cause, "done": done, "person": person, "was_down": bad_s is not None, "took_s": good_s}


def floor(run: Run, how: str, service: str, patience_s: float) -> float | None:
    """What the platform itself needs, with an all-knowing hand."""
    asked(f"{run.page}/api/v1/repairs/stop", {"by": "the bench"})
    try:
        began_s = time.monotonic()
        run.fire(service, how)
        while time.monotonic() - began_s < patience_s and run.answers(service):
            time.sleep(0.05)
        while time.monotonic() - began_s < patience_s and run.newest(service) in RUNNING:
            time.sleep(0.05)
        known_s = time.monotonic()
        run.fire(service, "heal")
        while time.monotonic() - known_s < patience_s and not run.answers(service):
            time.sleep(0.05)
        return time.monotonic() - began_s
    finally:
        run.well(service, patience_s)
        asked(f"{run.page}/api/v1/repairs/start", {"by": "the bench"})


def told(how: str, found: dict[str, Any], least: list[float], speed: float) -> str:
    """One row."""
    drill = DRILLS[how]
    wanted = drill.remedy or f"({drill.person})"
    if found["took_s"] is None:
        time_ = "down" if found["was_down"] else "never down"
    else:
        time_ = f"{found['took_s'] * speed:7.0f} s"
        if least:
            floor_s = statistics.median(least)
            time_ += f"  floor {floor_s * speed:5.0f} s  {found['took_s'] / floor_s:4.2f} x"
    done = ", ".join(found["done"]) or ("a person is asked" if found["person"] else "nothing")
    return f"{how:<22} {found['cause'] or '-':<22} {wanted[:24]:<25} {done[:44]:<45} {time_}"


def main() -> None:
    """Run it and print a row for each drill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("drills", nargs="*", default=list(DRILLS))
    parser.add_argument("--speed", type=float, default=30.0)
    parser.add_argument("--every", default="5s")
    parser.add_argument("--port", type=int, default=19_800)
    parser.add_argument("--patience", type=float, default=60.0, help="real seconds for each drill")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        from everwake.app.up import Haste, Up, up
        from everwake.cli._screen import Screen

        haste = Haste(speed=given.speed, every=given.every, heartbeat_every=given.every)
        with Screen(is_quiet=True, is_json=False) as screen:
            asyncio.run(up(Up(port=given.port, data=Path(given.serve), haste=haste), os.environ, screen))
        return
    ratios: list[float] = []
    for how in given.drills:
        ratios += one_drill(how, given)
    if ratios:
        print(f"median {statistics.median(ratios):.2f} x the floor, worst {max(ratios):.2f} x")


def one_drill(how: str, given: argparse.Namespace) -> list[float]:
    """A fleet of its own, for what was repaired a moment ago counts against the next remedy; the ratio, where there is one."""
    service = HOMES.get(how, "chatbot")
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, __file__, "--serve", folder, "--speed", str(given.speed), "--every", given.every]
        with subprocess.Popen(
            [*argv, "--port", str(given.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as serving:
            try:
                file = Path(folder) / "up.json"
                while not file.exists():
                    time.sleep(0.2)
                run = Run(json.loads(file.read_bytes()), given.speed)
                run.well(service, given.patience)
                found = left_alone(run, how, service, given.patience)
                run.well(service, given.patience)
                can_be_timed = found["took_s"] is not None and DRILLS[how].remedy in ("mend", "rollback", "restart")
                least = [one for one in [floor(run, how, service, given.patience)] if one] if can_be_timed else []
                print(told(how, found, least, given.speed), flush=True)
                return [found["took_s"] / least[0]] if least else []
            finally:
                serving.send_signal(signal.SIGINT)
                serving.wait(30)


if __name__ == "__main__":
    main()
