"""Whether a plan may be carried out now: what keeps repairs from becoming the trouble. Pure.

    judge(asked, past, limits) -> Go | Later | No

In this order: the red switch, `repair`, what is up, a folded incident, our own line, another remedy of the same service, somebody
else's deploy, flapping, the pause since the last one, and how many deploys there were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from everwake.model import DeployRecord, Incident, RemedyRun, RunState, State
from everwake.ports import Switch
from everwake.remedy.plan import WELL, Act

__all__ = ["Asked", "Go", "Judgement", "Later", "Limits", "No", "judge", "pause_s"]

# A deploy of ours is told from one of before by the platform's clock, which is known to a second or two (`platforms`).
FRESH_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be done by itself. Deploys are counted by the hour and the day, of one service and of the whole fleet.

    pause_paces: after the first remedy of a service, before the next; it doubles with each of the same day.   flaps_most: how
    often an incident may come back and fall again before it is a person's.
    """

    service_hour: int = 3
    service_day: int = 8
    fleet_hour: int = 10
    fleet_day: int = 40
    pause_paces: float = 3.0
    longest_pause_paces: float = 180.0
    flaps_most: int = 3
    remedies_of_incident: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be judged. own_trouble: what is wrong with the keeper itself, in words.   yes: a person said it.

    deploys: of its platform, the newest first; None where it was not asked.   pace_s: as in `Case`.
    """

    service: str
    plan: Act
    at: datetime
    state: State
    repair: Literal["off", "ask", "auto"]
    incident: Incident | None = None
    switch: Switch = Switch()
    own_trouble: tuple[str, ...] = ()
    deploys: tuple[DeployRecord, ...] | None = None
    pace_s: float = 20.0
    yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """It may be done. needs_yes: after somebody said yes."""

    needs_yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Not now. for_s: until it is worth asking again."""

    why: str
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """Not by itself. needs_person: somebody is to be told."""

    why: str
    needs_person: bool = False


Judgement = Go | Later | No


def judge(asked: Asked, past: Sequence[RemedyRun], limits: Limits | None = None) -> Judgement:
    """Whether it may be done now. past: remedies of the whole fleet, of the last day at least, oldest first."""
    limits = limits or Limits()
    mine = [one for one in past if one.service == asked.service]
    return (
        _never(asked)
        or _busy(asked, mine)
        or _enough(asked, mine, limits)
        or _too_soon(asked, mine, limits)
        or _spent(asked, past, mine, limits)
        or Go(needs_yes=asked.repair == "ask" and not asked.yes)
    )


def pause_s(remedies: int, pace_s: float, limits: Limits | None = None) -> float:
    """How long to leave a service alone after so many remedies of one day (1 or more)."""
    limits = limits or Limits()
    paces = limits.pause_paces * 2.0 ** min(max(0, remedies - 1), 20)
    return min(paces, limits.longest_pause_paces) * pace_s


def _never(asked: Asked) -> Judgement | None:
    if asked.switch.is_stopped:
        return No(why="all repairs are stopped")
    if asked.repair == "off" and not asked.yes:
        return No(why='it may not be repaired: repair = "off"')
    if asked.state in WELL and not asked.yes:
        return No(why=f"it is {asked.state.value}")
    if asked.incident is not None and asked.incident.parent is not None:
        return No(why="it follows from what it depends on")
    if asked.own_trouble:
        return Later(why=f"something is wrong with the keeper itself: {asked.own_trouble[0]}", for_s=asked.pace_s)
    return None


def _busy(asked: Asked, mine: Sequence[RemedyRun]) -> Judgement | None:
    under_way = next((one for one in mine if one.state in (RunState.RUNNING, RunState.PROVING)), None)
    if under_way is not None:
        return Later(why=f"{under_way.playbook} is under way", for_s=asked.pace_s)
    deploy = next((one for one in asked.deploys or () if one.is_running), None)
    if deploy is not None:
        return Later(why=f"the deploy {deploy.id} is under way, and it is not ours", for_s=asked.pace_s)
    newest = next(iter(asked.deploys or ()), None)
    since_s = (asked.at - newest.created_at).total_seconds() if newest and newest.created_at else FRESH_S
    if newest is not None and abs(since_s) < FRESH_S:
        return Later(why=f"the deploy {newest.id} was begun a moment ago", for_s=FRESH_S)
    return None


def _enough(asked: Asked, mine: Sequence[RemedyRun], limits: Limits) -> Judgement | None:
    """What a person asks for is not a loop."""
    if asked.yes:
        return None
    flaps = asked.incident.flaps if asked.incident else 0
    if flaps >= limits.flaps_most:
        return No(why=f"it came back and fell again {flaps} times", needs_person=True)
    done = [one for one in mine if asked.incident and one.incident == asked.incident.id and one.began_at is not None]
    if len(done) >= limits.remedies_of_incident:
        return No(why=f"{len(done)} remedies did not bring it back", needs_person=True)
    return None


def _too_soon(asked: Asked, mine: Sequence[RemedyRun], limits: Limits) -> Judgement | None:
    """The pause grows with what was done in vain; what was proved counts only for itself."""
    if asked.yes:
        return None
    ended = [one for one in mine if one.began_at is not None and one.ended_at is not None]
    today = [one for one in ended if asked.at - _end(one) < timedelta(days=1)]
    if not today:
        return None
    in_vain = sum(one.state is not RunState.PROVED for one in today)
    left_s = pause_s(max(1, in_vain), asked.pace_s, limits) - (asked.at - _end(today[-1])).total_seconds()
    return Later(why=f"the last remedy, {today[-1].playbook}, was a moment ago", for_s=left_s) if left_s > 0 else None


def _end(run: RemedyRun) -> datetime:
    return run.ended_at or run.asked_at


def _spent(asked: Asked, past: Sequence[RemedyRun], mine: Sequence[RemedyRun], limits: Limits) -> Judgement | None:
    """A yes of a person does not make more deploys of a day out of fewer: the platform counts them too."""
    if not asked.plan.deploys:
        return None
    hour, day = timedelta(hours=1), timedelta(days=1)
    for runs, whose, most_hour, most_day in (
        (mine, "it", limits.service_hour, limits.service_day),
        (past, "the fleet", limits.fleet_hour, limits.fleet_day),
    ):
        for span, most, words in ((hour, most_hour, "hour"), (day, most_day, "day")):
            made = [one for one in runs if one.began_at is not None and asked.at - one.began_at < span and one.deploys]
            if sum(one.deploys for one in made) + asked.plan.deploys <= most:
                continue
            if words == "day":
                return No(why=f"{whose} was deployed {most} times today already", needs_person=True)
            first = made[0].began_at or asked.at
            left_s = (span - (asked.at - first)).total_seconds()
            return Later(why=f"{whose} was deployed {most} times in this hour already", for_s=max(1.0, left_s))
    return None
