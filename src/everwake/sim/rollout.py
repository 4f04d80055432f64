"""One deploy after the other: queue, build, pre-deploy, the new instance's gate, and the change of what is live.

Each step is written before it is done, so a simulator that was killed goes on with the step it was in.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from everwake.sim.books import Books, new_id
from everwake.sim.hosted import Failed, Hosted
from everwake.sim.house import House, environment, launch
from everwake.sim.instance import Box, Start
from everwake.sim.life import BUILDS, cause_of_end, failed, restart_wait_s, superseded
from everwake.sim.records import Deploy, DeployStatus, Event, Instance, Trigger

__all__ = ["Rollouts"]

# The numbers behind the API's older field `status`.
_OLD_STATUS = {"succeeded": 2, "failed": 3, "canceled": 4}


class Rollouts:
    """The running deploy of each service; never more than one."""

    def __init__(self, house: House, hosted: Mapping[str, Hosted]) -> None:
        self._house = house
        self._hosted = hosted
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, deploy: Deploy, *, rush: bool = False) -> None:
        """Carry out a deploy that is in the books. rush: nobody waits in the queue (the platform's own start)."""
        self._tasks[deploy.service_id] = self._house.do(self._run(deploy, rush))

    async def cancel(self, service_id: str, by: Deploy | None = None) -> None:
        """End the running deploy, if there is one. by: the newer one that is why, in the books already."""
        task = self._tasks.pop(service_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        for deploy in superseded(self._house.books.deploys(service_id), by):
            self._house.say(service_id, "Deploy canceled" + (": a newer one takes over" if by else ""), "build")
            self._end(deploy, DeployStatus.CANCELED, "canceled", {"newDeploy": {"id": by.id}} if by else {})

    # --- the steps -------------------------------------------------------------------------------------------------------

    async def _run(self, deploy: Deploy, rush: bool) -> None:
        house, books, id_ = self._house, self._house.books, deploy.service_id
        try:
            if deploy.status is DeployStatus.CREATED:
                now = house.clock.now()
                deploy = replace(deploy, status=DeployStatus.QUEUED, started_at=now, updated_at=now)
                books.put(
                    deploy, books.happened(id_, "deploy_started", deployId=deploy.id, trigger=_trigger(books, deploy))
                )
            if deploy.status is DeployStatus.QUEUED:
                await house.clock.sleep(0.0 if rush else house.rules.queue_s)
            if deploy.status in (DeployStatus.QUEUED, DeployStatus.BUILDING):
                deploy = await self._built(deploy)
            if deploy.status in (DeployStatus.BUILDING, DeployStatus.PRE_DEPLOYING):
                deploy = await self._pre_deployed(deploy)
            await self._updated(deploy)
        except Failed as failure:
            deploy = books.deploy(id_, deploy.id)
            self._end(deploy, failed(deploy.status), "failed", failure.reason)

    async def _built(self, deploy: Deploy) -> Deploy:
        house, books = self._house, self._house.books
        service, build_id = books.service(deploy.service_id), new_id("bld")
        said = {"buildId": build_id, "trigger": _trigger(books, deploy)}
        if deploy.trigger not in BUILDS:
            return self._step(deploy, DeployStatus.BUILDING)
        deploy = self._step(deploy, DeployStatus.BUILDING, books.happened(service.id, "build_started", **said))
        command = deploy.commit.build_command or ("" if service.ours else service.build_command)
        if command:
            house.say(service.id, f"Running build command '{command}'...", "build")
            status = await self._command(deploy, command, "build", house.rules.build_s)
        else:
            house.say(service.id, "Nothing to build: this distribution is installed here", "build")
            status = 0
        ended = "succeeded" if status == 0 else "failed"
        reason: dict[str, object] = {} if status == 0 else {"failure": cause_of_end(status)}
        details = {"buildId": build_id, "buildStatus": ended, "status": _OLD_STATUS[ended], "reason": reason}
        books.put(books.happened(service.id, "build_ended", **details))
        if status != 0:
            house.say(service.id, f"Exited with status {status}", "build")
            house.say(service.id, "Build failed", "build")
            why: dict[str, object] = {"buildFailed": {"id": build_id}}
            raise Failed(why, "Build failed")
        house.say(service.id, "Build successful", "build")
        return deploy

    async def _pre_deployed(self, deploy: Deploy) -> Deploy:
        house, books = self._house, self._house.books
        service, id_ = books.service(deploy.service_id), new_id("dce")
        if not service.pre_deploy_command:
            return deploy
        said: dict[str, object] = {"deployId": deploy.id, "deployCommandExecutionId": id_}
        deploy = self._step(
            deploy, DeployStatus.PRE_DEPLOYING, books.happened(service.id, "pre_deploy_started", **said)
        )
        house.say(service.id, f"Running pre-deploy command '{service.pre_deploy_command}'...", "build")
        status = await self._command(deploy, service.pre_deploy_command, "pre", house.rules.pre_deploy_s)
        ended = "succeeded" if status == 0 else "failed"
        reason: dict[str, object] = {} if status == 0 else {"failure": cause_of_end(status)}
        said |= {"preDeployStatus": ended, "status": _OLD_STATUS[ended], "reason": reason}
        books.put(books.happened(service.id, "pre_deploy_ended", **said))
        if status != 0:
            house.say(service.id, f"Exited with status {status}", "build")
            raise Failed(reason, "Pre-deploy command failed")
        return deploy

    async def _updated(self, deploy: Deploy) -> None:
        house, books, id_ = self._house, self._house.books, deploy.service_id
        hosted = self._hosted[id_]
        deploy = self._step(deploy, DeployStatus.UPDATING)
        house.say(id_, "Deploying...", "build")
        for tried in range(1, house.rules.start_tries + 1):
            box = await launch(house, books.service(id_), deploy)
            try:
                await hosted.started(box)
                break
            except Failed as failure:
                house.say(id_, failure.said)
                reason = failure.reason
                books.put(books.happened(id_, "server_failed", instanceID=box.record.id, reason=reason))
                if failure.is_final or tried == house.rules.start_tries:
                    house.say(id_, "Deploy failed")
                    raise Failed({"failure": reason}, failure.said) from None
            await house.clock.sleep(restart_wait_s(tried, house.rules))
        # Nothing is awaited from here on: a cancel finds the deploy either running or live, with its instance.
        self._go_live(deploy)
        hosted.adopt(deploy, box)

    def _go_live(self, deploy: Deploy) -> None:
        """What was live is so no more, and this is: one transaction."""
        house, books, id_ = self._house, self._house.books, deploy.service_id
        now = house.clock.now()
        before = books.live(id_)
        old = [replace(before, status=DeployStatus.DEACTIVATED, updated_at=now)] if before else []
        live = replace(deploy, status=DeployStatus.LIVE, updated_at=now, finished_at=now)
        standing = replace(books.standing(id_), live=deploy.id, is_asleep=False, crashes=0)
        books.put(*old, live, standing, self._ended_event(deploy, "succeeded", {}))
        house.say(id_, "Your service is live")

    # --- what they are made of -------------------------------------------------------------------------------------------

    def _step(self, deploy: Deploy, status: DeployStatus, *events: Event) -> Deploy:
        """Go to a step; gone to again after a restart of the simulator, it is no news."""
        if deploy.status is status:
            return deploy
        deploy = replace(deploy, status=status, updated_at=self._house.clock.now())
        self._house.books.put(deploy, *events)
        return deploy

    def _end(self, deploy: Deploy, status: DeployStatus, said: str, reason: Mapping[str, object]) -> None:
        now = self._house.clock.now()
        ended = replace(deploy, status=status, updated_at=now, finished_at=now)
        self._house.books.put(ended, self._ended_event(deploy, said, reason))

    def _ended_event(self, deploy: Deploy, said: str, reason: Mapping[str, object]) -> Event:
        return self._house.books.happened(
            deploy.service_id, "deploy_ended", deployId=deploy.id, deployStatus=said, status=_OLD_STATUS[said],
            reason=dict(reason),
        )  # fmt: skip

    async def _command(self, deploy: Deploy, command: str, name: str, within_s: float) -> int:
        """Run a command of the owner to its end; its exit status, 124 when it took too long."""
        house, service = self._house, self._house.books.service(deploy.service_id)
        record = Instance(
            id=f"{service.id}-{name}-{deploy.id[-6:]}", service_id=service.id, deploy_id=deploy.id,
            created_at=house.clock.now(), port=0,
        )  # fmt: skip

        def said(text: str) -> None:
            house.lines.say(service.id, text, "build")

        folder = house.data / "instances" / record.id if service.ours else house.source / service.root_dir
        start = Start(
            command=command, env=environment(house, service, deploy, record), folder=folder, said=said,
            is_own_folder=service.ours,
        )  # fmt: skip
        box = await Box.start(record, house.group, start)
        try:
            with suppress(TimeoutError):
                status = await asyncio.wait_for(box.ended(), within_s)
                return status if status >= 0 else 128 - status
            house.say(service.id, f"The {name} command took too long", "build")
            return 124
        finally:
            await box.kill()


def _trigger(books: Books, deploy: Deploy) -> dict[str, object]:
    """What began it, as the events tell it."""
    owner = books.owners.get(books.service(deploy.service_id).owner_id)
    is_manual = deploy.trigger in (Trigger.API, Trigger.MANUAL, Trigger.ROLLBACK, Trigger.RESUMED, Trigger.HOOK)
    told: dict[str, object] = {
        "firstBuild": len(books.deploys(deploy.service_id)) <= 1,
        "envUpdated": deploy.trigger is Trigger.UPDATED,
        "manual": is_manual,
        "deployedByRender": deploy.trigger is Trigger.RENDER,
        "clearCache": deploy.clear_cache,
        "rollback": deploy.trigger is Trigger.ROLLBACK,
    }
    if is_manual and owner is not None:
        told["user"] = {"id": "usr-" + owner.id.partition("-")[2], "email": owner.email}
    if deploy.trigger is Trigger.COMMIT:
        told["newCommit"] = deploy.commit.id
    if deploy.rollback_of:
        told["rollbackTargetDeployId"] = deploy.rollback_of
    return told
