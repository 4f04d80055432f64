"""What people are told of remedies: lines of the log, messages, and documents of the API. Pure."""

from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from everwake.model import Proof, RemedyRun, RemedyStep, RunState, StepState
from everwake.ports import Notice
from everwake.remedy.plan import Act, AskHuman, Decision, Wait

__all__ = [
    "decision_document",
    "notice_of_ask",
    "notice_of_end",
    "notice_of_person",
    "notice_of_soak",
    "run_document",
    "soak_line",
    "step_line",
    "title_of",
]

_ENDS = {
    RunState.PROVED: "repaired, and proved",
    RunState.UNPROVED: "not proved to be well after it",
    RunState.FAILED: "could not be carried out",
    RunState.DROPPED: "dropped",
}


def title_of(run: RemedyRun) -> str:
    """A remedy in a few words: `fix-variables (BACKEND_CORS_ORIGINS)`."""
    return f"{run.playbook} ({run.about})" if run.about else run.playbook


def step_line(title: str, run: RemedyRun, step: RemedyStep) -> str:
    """One step, as the activity log says it."""
    if step.state is StepState.INTENDED:
        return f"{title}: {run.playbook}: {step.says} ..."
    outcome = f" ({step.said})" if step.said else ""
    return f"{title}: {run.playbook}: {step.says}: {'done' if step.state is StepState.DONE else 'failed'}{outcome}"


def notice_of_ask(title: str, run: RemedyRun, link: str) -> Notice:
    """The plan, and how to say yes."""
    lines = [
        f"{title} can be repaired: {title_of(run)}.", f"Why: {run.cause}. {run.why}".rstrip(),
        *[f"{n}. {step.says}" for n, step in enumerate(run.steps, 1)], f"It costs {run.costs}.",
        f"Say yes on the page, or with: everwake fix {run.service} --yes", *([link] if link else []),
    ]  # fmt: skip
    return _notice(f"{run.id}:asked", run, True, f"{title} can be repaired: {run.playbook}", lines, run.asked_at)


def notice_of_end(
    title: str, run: RemedyRun, state: RunState, outcome: str, proof: Proof | None, link: str, at: datetime
) -> Notice:
    """What came of it."""
    done = [
        f"- {step.says}: {step.said or step.state.value}" for step in run.steps if step.state is not StepState.PLANNED
    ]
    shown = [f"- {one.name.replace('_', ' ')}: {one.said}" for one in (proof.criteria if proof else ())]
    lines = [
        f"{title} was {_ENDS.get(state, state.value)}: {title_of(run)}, by {run.by}.", f"Why: {run.cause}. {run.why}".rstrip(),
        *done, *(["What the checks saw after it:", *shown] if shown else []), *([outcome] if outcome else []),
        *([link] if link else []),
    ]  # fmt: skip
    is_good = state is RunState.PROVED
    said = f"{title} was repaired: {run.playbook}" if is_good else f"{title}: {run.playbook} did not help"
    return _notice(f"{run.id}:{state.value}", run, not is_good, said, lines, at)


def soak_line(title: str, run: RemedyRun, soak: Proof) -> str:
    """What the seven criteria have shown, in a sentence."""
    failed = next((one for one in soak.criteria if one.met is False), None)
    if failed is not None:
        return f"{title} does not stay well after {title_of(run)}: {failed.name}: {failed.said}"
    met = sum(one.met is True for one in soak.criteria)
    if met == len(soak.criteria):
        return f"{title} stays well after {title_of(run)}: every criterion is met"
    return (
        f"{title} after {title_of(run)}: {met} of {len(soak.criteria)} criteria are met, the others could not be shown"
    )


def notice_of_soak(title: str, run: RemedyRun, soak: Proof, link: str, at: datetime) -> Notice:
    """The second stage: what was seen in the quarter of an hour after a remedy was proved."""
    is_bad = any(one.met is False for one in soak.criteria)
    marks = {True: "met: ", False: "NOT MET: ", None: ""}  # what was not shown says so itself
    lines = [
        f"{soak_line(title, run, soak)}.", *[f"- {one.name}: {marks[one.met]}{one.said}" for one in soak.criteria],
        *([f"Look into it: everwake why {run.service}"] if is_bad else []), *([link] if link else []),
    ]  # fmt: skip
    stays = "does not stay well" if is_bad else "stays well" if soak.is_proved else "was watched on"
    said = f"{title} {stays} after {run.playbook}"
    return _notice(f"{run.id}:soak", run, is_bad, said, lines, at)


def notice_of_person(service: str, title: str, incident: str, ask: AskHuman, link: str, at: datetime) -> Notice:
    """Somebody is needed. The same next step for the same cause of the same incident is told once."""
    can = f"It can be done for you: everwake fix {service} --yes ({ask.plan.playbook})" if ask.plan else ""
    lines = [
        f"{title} needs a person: {ask.cause.replace('_', ' ')}.",
        ask.reason,
        f"Next: {ask.next}" if ask.next else "",
        can,
        link,
    ]
    return Notice(
        key=f"{incident}:person:{ask.cause}:{crc32(ask.next.encode()):08x}", service=service, incident=incident, opened=True,
        title=f"{title} needs a person",
        body="\n".join(line for line in lines if line), at=at,
    )  # fmt: skip


def _notice(key: str, run: RemedyRun, is_bad: bool, title: str, lines: list[str], at: datetime) -> Notice:
    return Notice(
        key=key,
        service=run.service,
        incident=run.incident or None,
        opened=is_bad,
        title=title,
        body="\n".join(lines),
        at=at,
    )


# --- documents ------------------------------------------------------------------------------------------------------------


def decision_document(decision: Decision) -> dict[str, Any]:
    """`{"decision": "act" | "wait" | "ask", "well", "why", "next", "plan"}`. well: nothing is wrong, so nothing is to be done."""
    match decision:
        case Wait():
            return {"decision": "wait", "well": decision.is_well, "why": decision.why, "next": "", "plan": None}
        case Act():
            return {"decision": "act", "well": False, "why": decision.why, "next": "", "plan": plan_document(decision)}
        case AskHuman():
            plan = plan_document(decision.plan) if decision.plan else None
            return {"decision": "ask", "well": False, "why": decision.reason, "next": decision.next, "plan": plan}


def plan_document(plan: Act) -> dict[str, Any]:
    """A plan as data."""
    return {
        "remedy": plan.playbook, "about": plan.about, "cause": plan.cause, "why": plan.why, "costs": plan.costs,
        "deploys": plan.deploys, "proved_by": plan.proved_by, "steps": [{"do": one.do, "says": one.says} for one in plan.steps],
    }  # fmt: skip


def run_document(run: RemedyRun) -> dict[str, Any]:
    """A remedy as data: the audit trail."""
    return {
        "id": run.id, "service": run.service, "incident": run.incident or None, "remedy": run.playbook, "about": run.about,
        "cause": run.cause, "why": run.why, "costs": run.costs, "proved_by": run.proved_by, "by": run.by,
        "state": run.state.value, "asked_at": _when(run.asked_at), "began_at": _when(run.began_at),
        "ended_at": _when(run.ended_at), "outcome": run.outcome,
        "steps": [
            {
                "do": one.do, "says": one.says, "state": one.state.value, "at": _when(one.at),
                "ended_at": _when(one.ended_at), "said": one.said,
            }
            for one in run.steps
        ],
        "proof": _proof_document(run.proof),
        "soak": None if run.soak is None else _proof_document(run.soak),
    }  # fmt: skip


def _proof_document(proof: Proof | None) -> dict[str, Any]:
    return {
        "proved": proof is not None and proof.is_proved,
        "criteria": [{"name": one.name, "met": one.met, "said": one.said} for one in (proof.criteria if proof else ())],
    }


def _when(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
