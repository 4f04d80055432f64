"""The mission's incident, whole: real services on the simulated platform, a bad variable, and nobody lifts a hand."""

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.receiver import receiver
from tests.support.up_run import UpRun, until, up_in

KEY = "BACKEND_CORS_ORIGINS"


def asked(url: str, body: Any = None, key: str = "", method: str | None = None) -> Any:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    with urlopen(
        Request(url, None if body is None else json.dumps(body).encode(), headers, method=method), timeout=30
    ) as answer:
        return json.loads(answer.read())


def fired(run: UpRun, service: str, how: str) -> None:
    platform = json.loads(run.up_json.read_text())["platform"]
    asked(platform["url"].removesuffix("/v1") + "/sim/drills", {"service": service, "how": how}, platform["key"])


def written(run: UpRun, service: str, key: str, value: str) -> None:
    """What a person does at the dashboard: a variable is saved, and comes with the next deploy."""
    up = json.loads(run.up_json.read_text())
    url = f"{up['platform']['url']}/services/{up['services'][service]['id']}/env-vars/{key}"
    asked(url, {"value": value}, up["platform"]["key"], "PUT")


def variables(run: UpRun, service: str) -> dict[str, str]:
    up = json.loads(run.up_json.read_text())
    url = f"{up['platform']['url']}/services/{up['services'][service]['id']}/env-vars?limit=100"
    return {one["envVar"]["key"]: one["envVar"]["value"] for one in asked(url, key=up["platform"]["key"])}


def test_a_leftover_behind_the_origins_is_found_named_mended_deployed_proved_and_told(tmp_path: Path) -> None:
    with receiver() as told, up_in(tmp_path, "--fast", "--quiet") as run:
        page = run.until_ready()["dashboard"]
        file = run.data / "everwake.toml"
        (run.data / "alerts.url").write_text(told.url)
        # The keeper takes the changed file by itself.
        file.write_text(file.read_text() + '\n[notify]\nurls = [{ file = "alerts.url" }]\n')
        until(lambda: "was read again" in run.log or _was_read(page), 20)
        before = variables(run, "chatbot")
        # A list of 86 characters, and what somebody left behind it: column 88.
        origins = json.dumps(["https://chatbot.example.com", "https://backend.example.com", "https://page.example"])
        assert len(origins) == 86
        written(run, "chatbot", KEY, origins)
        fired(run, "chatbot", "bad-env")

        def repaired() -> Any:
            known = asked(f"{page}/api/v1/services/chatbot/remedy")["run"]
            return known if known is not None and known["state"] == "proved" else None

        until(repaired, 60)
        remedy = repaired()
        assert (remedy["remedy"], remedy["about"], remedy["by"]) == ("fix-variables", KEY, "keeper")
        assert "column 88" in remedy["why"]
        assert [step["state"] for step in remedy["steps"]] == ["done", "done", "done"]
        assert "its log: " in remedy["steps"][2]["said"]
        assert "Server started successfully on" in remedy["steps"][2]["said"]
        assert variables(run, "chatbot") == {**before, KEY: origins}
        assert asked(run.at("chatbot") + "/health")["status"] == "healthy"
        incident = asked(f"{page}/api/v1/incidents?service=chatbot")["items"][0]
        assert incident["cause"] == "bad_env_var"
        assert [did["step"] for did in incident["actions"]] == [
            "mend BACKEND_CORS_ORIGINS",
            "deploy",
            "watch the deploy",
        ]
        assert incident["proof"]["proved"]
        until(lambda: "Chatbot was repaired: fix-variables" in told.titles, 20)
        assert "Chatbot is down" in told.titles

        # The second stage: the seven criteria, over what are 15 minutes of the platform's time.
        until(lambda: asked(f"{page}/api/v1/services/chatbot/remedy")["run"]["soak"] is not None, 60)
        soak = asked(f"{page}/api/v1/services/chatbot/remedy")["run"]["soak"]
        assert soak["proved"], soak
        assert [one["name"] for one in soak["criteria"]] == [
            "health", "keeper", "heartbeat", "sessions", "messages", "uptime", "log",
        ]  # fmt: skip
        until(lambda: "Chatbot stays well after fix-variables" in told.titles, 20)


def _was_read(page: str) -> bool:
    return any("was read again" in line["text"] for line in asked(f"{page}/api/v1/log?limit=50")["items"])
