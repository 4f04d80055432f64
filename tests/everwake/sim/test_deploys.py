"""Deploys on the simulated platform, with real processes: steps, gate, rollover, superseded, failed, rolled back."""

import asyncio
import json
from pathlib import Path

import pytest

from everwake.sim.records import DeployStatus, Trigger
from everwake.sim.verbs import Refused
from tests.everwake.sim.rehearsal import rehearsal, until


async def test_a_new_service_is_deployed_and_answers(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        status, body = await town.ask(one)
        assert (status, json.loads(body)["instance"]) == (200, town.platform.instances(one)[0].id)
        assert town.event_types(one) == [
            "deploy_started", "build_started", "build_ended", "deploy_ended", "server_available"
        ]  # fmt: skip
        assert "==> Your service is live" in town.log(one)
