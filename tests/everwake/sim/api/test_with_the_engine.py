"""The API over real processes: whatever a lively service leads to is of the described shape, and the official client reads it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from render.public_api.api.logs import list_logs
from render.public_api.api.services import list_events
from render.public_api.client import AuthenticatedClient

from everwake.sim.records import DeployStatus
from tests.everwake.sim.rehearsal import KEY, rehearsal, until
from tests.support.render_description import WHERE, mistakes
from tests.support.sim_api import served


async def test_a_lively_service_is_told_as_render_would_tell_it(tmp_path: Path) -> None:
    async with rehearsal(tmp_path / "platform") as stage:
        platform = stage.platform
        id = await stage.service(
            "lively", env={"A": "1"}, pre_deploy_command="echo before", ours=False, build_command="echo built"
        )
        async with (
            served(platform) as api,
            AuthenticatedClient(base_url=api.url, token=KEY, raise_on_unexpected_status=True) as official,
            httpx.AsyncClient(base_url=api.url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as http,
        ):
            live = platform.deploys(id)[0].id
            await stage.ask(id)
            assert (await http.post(f"/services/{id}/restart")).status_code == 200
            await until(lambda: "server_restarted" in stage.event_types(id))
            await stage.commit(id, "dies=3")
            assert (await stage.ended(id)).status is DeployStatus.UPDATE_FAILED
            await stage.commit(id, build_command="exit 1")
            assert (await stage.ended(id)).status is DeployStatus.BUILD_FAILED
            canceled = (await http.post(f"/services/{id}/deploys", json={"clearCache": "clear"})).json()["id"]
            assert (await http.post(f"/services/{id}/deploys/{canceled}/cancel")).json()["status"] == "canceled"
            assert (await http.post(f"/services/{id}/rollback", json={"deployId": live})).status_code == 201
            await stage.live(id)
            await http.post(f"/services/{id}/suspend")
            await http.post(f"/services/{id}/resume")
            await stage.ended(id)
            await platform.exhaust_hours(stage.owner.id)
            suspended = (await http.get(f"/services/{id}")).json()
            await platform.renew_hours(stage.owner.id)

            since = datetime.now(UTC) - timedelta(minutes=5)
            events: Any = await list_events.asyncio(id, client=official, limit=100, start_time=since)
            logs: Any = await list_logs.asyncio(client=official, owner_id=stage.owner.id, resource=[id], limit=100)
            for path in ("instances", "deploys", "env-vars"):
                assert (await http.get(f"/services/{id}/{path}")).status_code == 200
            for name in ("cpu", "memory", "bandwidth", "http-requests", "instance-count", "memory-limit", "cpu-limit"):
                assert (await http.get(f"/metrics/{name}", params={"resource": id})).status_code == 200
            assert (await http.get(f"/events/{events[0].event.id}")).status_code == 200
        kinds = {each.event.type_.value for each in events}
    assert suspended["suspenders"] == ["billing"]
    assert {
        "build_started", "build_ended", "pre_deploy_started", "pre_deploy_ended", "deploy_started", "deploy_ended",
        "server_failed", "server_restarted", "suspender_added", "suspender_removed",
    } <= kinds  # fmt: skip
    assert logs.logs
    assert WHERE is None or api.held.checked > 15


def test_details_that_do_not_go_with_their_event_are_found() -> None:
    event = (
        b'{"id": "evt-00000000000000000001", "timestamp": "2026-01-01T00:00:00Z", "serviceId": "srv-1", '
        b'"type": "suspender_added", "details": {"enabled": true}}'
    )
    assert WHERE is None or mistakes("GET", "/events/evt-00000000000000000001", 200, event)
