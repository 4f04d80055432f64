"""The official client, unchanged but for its base URL, does with the stand-in whatever a keeper does with Render."""

from datetime import UTC, datetime, timedelta
from typing import Any

from render.public_api import models
from render.public_api.api.deploys import cancel_deploy, create_deploy, list_deploys, retrieve_deploy, rollback_deploy
from render.public_api.api.environment_groups import (
    create_env_group,
    delete_env_group,
    delete_env_group_env_var,
    link_service_to_env_group,
    list_env_groups,
    retrieve_env_group,
    retrieve_env_group_env_var,
    unlink_service_from_env_group,
    update_env_group,
    update_env_group_env_var,
)
from render.public_api.api.events import retrieve_event
from render.public_api.api.logs import list_logs, list_logs_values
from render.public_api.api.metrics import (
    get_bandwidth,
    get_cpu,
    get_cpu_limit,
    get_http_latency,
    get_http_requests,
    get_instance_count,
    get_memory,
    get_memory_limit,
)
from render.public_api.api.services import (
    delete_env_var,
    get_env_vars_for_service,
    list_events,
    list_instances,
    list_services,
    restart_service,
    resume_service,
    retrieve_env_var,
    retrieve_service,
    suspend_service,
    update_env_var,
    update_env_vars_for_service,
    update_service,
)
from render.public_api.api.users import get_user
from render.public_api.api.workspaces import list_owners, retrieve_owner, retrieve_owner_members
from render.public_api.client import AuthenticatedClient

from everwake.sim.records import DeployStatus, ServiceType
from tests.support.fake_workspace import FakeWorkspace


async def test_it_sees_its_workspace(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    owners: Any = await list_owners.asyncio(client=official)
    assert [each.owner.name for each in owners] == ["team"]
    id = owners[0].owner.id
    one: Any = await retrieve_owner.asyncio(id, client=official)
    members: Any = await retrieve_owner_members.asyncio(id, client=official)
    user: Any = await get_user.asyncio(client=official)
    assert (one.id, members[0].email, user.email) == (id, "ada@example.org", "ada@example.org")


async def test_it_lists_services_of_every_type(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    for each in ServiceType:
        workspace.add(each.value.replace("_", "-"), type=each)
    workspace.add("in-a-container", runtime="docker")
    workspace.add("not-ours", owner=1)
    found: Any = await list_services.asyncio(client=official, limit=100)
    assert [each.service.type_.value for each in found] == [*map(str, ServiceType), "web_service"]
    assert type(found[0].service.service_details).__name__ == "WebServiceDetails"
    assert type(found[4].service.service_details).__name__ == "StaticSiteDetails"
    kinds: Any = await list_services.asyncio(
        client=official, type_=[models.ServiceType.WEB_SERVICE, models.ServiceType.CRON_JOB]
    )
    assert len(kinds) == 3
    none: Any = await list_services.asyncio(client=official, owner_id=["own-somebody-else"])
    assert none == []


async def test_it_changes_a_service(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot").id
    details = models.WebServiceDetailsPATCH(health_check_path="/healthz")
    body = models.ServicePATCH(name="bot", auto_deploy=models.AutoDeploy.YES, service_details=details)
    changed: Any = await update_service.asyncio(id, client=official, body=body)
    assert (changed.name, changed.auto_deploy, changed.service_details.health_check_path) == ("bot", "yes", "/healthz")


async def test_it_suspends_and_resumes(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot").id
    assert (await suspend_service.asyncio_detailed(id, client=official)).status_code == 202
    found: Any = await retrieve_service.asyncio(id, client=official)
    assert (found.suspended.value, [each.value for each in found.suspenders]) == ("suspended", ["user"])
    suspended: Any = await list_services.asyncio(
        client=official, suspended=[models.ListServicesSuspendedItem.SUSPENDED]
    )
    assert len(suspended) == 1
    assert (await resume_service.asyncio_detailed(id, client=official)).status_code == 202
    latest: Any = await list_deploys.asyncio(id, client=official)
    assert latest[0].deploy.trigger.value == "service_resumed"
    assert (await restart_service.asyncio_detailed(id, client=official)).status_code == 200
    running: Any = await list_instances.asyncio(id, client=official)
    assert [each.id[:24] for each in running] == [id]


async def test_it_deploys_cancels_and_rolls_back(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot").id
    body = models.CreateDeployBody(clear_cache=models.CreateDeployBodyClearCache.CLEAR)
    made: Any = await create_deploy.asyncio(id, client=official, body=body)
    assert workspace.made[id][0].clear_cache
    live: Any = await retrieve_deploy.asyncio(id, made.id, client=official)
    assert (live.status.value, live.trigger.value) == ("live", "api")
    workspace.step_s = 3_600
    second: Any = await create_deploy.asyncio(id, client=official, body=models.CreateDeployBody())
    canceled: Any = await cancel_deploy.asyncio(id, second.id, client=official)
    assert canceled.status.value == "canceled"
    back: Any = await rollback_deploy.asyncio(id, client=official, body=models.RollbackDeployBody(deploy_id=made.id))
    assert (back.trigger.value, back.commit.id) == ("rollback", made.commit.id)
    ended: Any = await list_deploys.asyncio(
        id, client=official, status=[models.DeployStatus.LIVE, models.DeployStatus.CANCELED]
    )
    assert [each.deploy.id for each in ended] == [second.id, made.id]
    later = datetime.now(UTC) + timedelta(hours=1)
    assert await list_deploys.asyncio(id, client=official, created_after=later) == []
    assert await list_deploys.asyncio(id, client=official, finished_before=later - timedelta(hours=2)) == []


async def test_it_reads_and_writes_variables(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot", env={"PORT": "8000"}).id
    put: Any = await update_env_var.asyncio(id, "DEBUG", client=official, body=models.EnvVarValue(value="false"))
    drawn: Any = await update_env_var.asyncio(
        id, "SECRET", client=official, body=models.EnvVarGenerateValue(generate_value=True)
    )
    assert (put.value, len(drawn.value)) == ("false", 44)
    listed: Any = await get_env_vars_for_service.asyncio(id, client=official)
    assert [each.env_var.key for each in listed] == ["PORT", "DEBUG", "SECRET"]
    assert (await delete_env_var.asyncio_detailed(id, "DEBUG", client=official)).status_code == 204
    gone: Any = await retrieve_env_var.asyncio(id, "DEBUG", client=official)
    assert isinstance(gone, models.Error)
    whole: Any = await update_env_vars_for_service.asyncio(
        id, client=official, body=[models.EnvVarKeyValue(key="A", value="1"), models.EnvVarKeyValue(key="B", value="")]
    )
    assert [each.env_var.key for each in whole] == ["A", "B"]
    assert workspace.env(id) == {"A": "1", "B": ""}


async def test_it_uses_env_groups(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    service = workspace.add("chatbot")
    body = models.EnvGroupPOSTInput(
        name="shared",
        owner_id=service.owner_id,
        env_vars=[models.EnvVarKeyValue(key="LOG_LEVEL", value="info")],
        service_ids=[service.id],
    )
    made: Any = await create_env_group.asyncio(client=official, body=body)
    assert [each.id for each in made.service_links] == [service.id]
    changed: Any = await update_env_group_env_var.asyncio(
        made.id, "EXTRA", client=official, body=models.EnvVarValue(value="x")
    )
    assert [each.key for each in changed.env_vars] == ["LOG_LEVEL", "EXTRA"]
    one: Any = await retrieve_env_group_env_var.asyncio(made.id, "EXTRA", client=official)
    assert one.value == "x"
    assert (await delete_env_group_env_var.asyncio_detailed(made.id, "EXTRA", client=official)).status_code == 204
    renamed: Any = await update_env_group.asyncio(
        made.id, client=official, body=models.EnvGroupPATCHInput(name="common")
    )
    listed: Any = await list_env_groups.asyncio(client=official)
    assert (renamed.name, [each.name for each in listed]) == ("common", ["common"])
    assert (
        await unlink_service_from_env_group.asyncio_detailed(made.id, service.id, client=official)
    ).status_code == 204
    linked: Any = await link_service_to_env_group.asyncio(made.id, service.id, client=official)
    assert len(linked.service_links) == 1
    assert (await delete_env_group.asyncio_detailed(made.id, client=official)).status_code == 204
    assert isinstance(await retrieve_env_group.asyncio(made.id, client=official), models.Error)


async def test_it_reads_events_of_every_kind_that_matters(
    official: AuthenticatedClient, workspace: FakeWorkspace
) -> None:
    id = workspace.add("chatbot").id
    instance = f"{id}-00001"
    workspace.happen(id, "server_failed", instanceID=instance, reason={"evicted": False, "nonZeroExit": 1})
    workspace.happen(
        id, "server_failed", instanceID=instance, reason={"evicted": False, "oomKilled": {"memoryLimit": "512Mi"}}
    )
    workspace.happen(id, "suspender_added", actor="billing")
    listed: Any = await list_events.asyncio(id, client=official)
    assert [each.event.type_.value for each in listed] == ["suspender_added", "server_failed", "server_failed"]
    one: Any = await retrieve_event.asyncio(listed[1].event.id, client=official)
    assert one.id == listed[1].event.id
    later: Any = await list_events.asyncio(id, client=official, start_time=datetime.now(UTC) + timedelta(hours=1))
    assert later == []


async def test_it_reads_logs_page_by_page(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    service = workspace.add("chatbot")
    now = datetime.now(UTC)
    for n in range(45):
        workspace.say(
            service.id, f"line {n}", at=now - timedelta(seconds=45 - n), level="error" if n % 9 == 0 else "info"
        )
    seen: list[str] = []
    window: dict[str, Any] = {"start_time": now - timedelta(hours=1), "end_time": now}
    while True:
        page: Any = await list_logs.asyncio(client=official, owner_id=service.owner_id, resource=[service.id], **window)
        seen += [each.message for each in page.logs]
        if not page.has_more:
            break
        window = {"start_time": page.next_start_time, "end_time": page.next_end_time}
    assert seen == [f"line {n}" for n in reversed(range(45))]
    errors: Any = await list_logs.asyncio(
        client=official,
        owner_id=service.owner_id,
        resource=[service.id],
        level=["error"],
        direction=models.LogDirection.FORWARD,
    )
    assert [each.message for each in errors.logs] == ["line 0", "line 9", "line 18", "line 27", "line 36"]
    requests: Any = await list_logs.asyncio(
        client=official, owner_id=service.owner_id, resource=[service.id], status_code=["500"]
    )
    assert (requests.logs, requests.has_more) == ([], False)


async def test_it_asks_for_the_values_of_a_label(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    service = workspace.add("chatbot")
    for level in ("info", "error"):
        workspace.say(service.id, "something", level=level)
    label = next(
        each for each in vars(list_logs_values).values() if getattr(each, "__name__", "") == "ListLogsValuesLabel"
    )
    found: Any = await list_logs_values.asyncio(
        client=official, owner_id=service.owner_id, resource=[service.id], label=label("level")
    )
    assert found == ["error", "info"]


async def test_it_reads_metrics(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot").id
    for operation in (get_cpu, get_memory, get_http_requests, get_bandwidth, get_instance_count):
        series: Any = await operation.asyncio(client=official, resource=id)
        assert [len(each.values) for each in series] == [2], operation
    memory: Any = await get_memory_limit.asyncio(client=official, resource=id)
    cores: Any = await get_cpu_limit.asyncio(client=official, resource=id)
    assert (memory[0].values[0].value, cores[0].values[0].value) == (512 * 2**20, 0.1)
    assert await get_http_latency.asyncio(client=official, resource=id) == []


async def test_a_failed_deploy_reads_as_failed(official: AuthenticatedClient, workspace: FakeWorkspace) -> None:
    id = workspace.add("chatbot").id
    workspace.fails = DeployStatus.BUILD_FAILED
    made: Any = await create_deploy.asyncio(id, client=official, body=models.CreateDeployBody())
    failed: Any = await retrieve_deploy.asyncio(id, made.id, client=official)
    assert failed.status.value == "build_failed"
