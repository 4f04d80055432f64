"""What is to be done about one service: wait, act, or ask a person. Pure.

    decide(case, playbooks) -> Wait | Act | AskHuman

The surest cause of the diagnosis is asked for its playbooks, the cheapest first; the first that fits is taken. What was tried in
this incident is not tried again; when nothing is left, a person is asked, with what was tried. There is no loop in it: every
`Act` adds to `Case.tried`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from everwake.model import Cause, DeployRecord, Diagnosis, Incident, Observation, PlatformService, RemedyStep, State
from everwake.remedy.steps import NEEDS, Do, step

__all__ = [
    "LOOK_INTO_IT",
    "WELL",
    "Act",
    "AskHuman",
    "Case",
    "Decision",
    "Playbook",
    "Tried",
    "Unfit",
    "Wait",
    "blamed",
    "decide",
    "in_vain",
    "live_deploy",
]

# Below GUESS nothing is done by itself; below SURE only when nothing better was found for a while.
GUESS, SURE = 0.55, 0.7
# An incident that is younger than so many paces may still show another cause: a crash is in the log before it is in the events.
YOUNG_PACES = 1.0
# Until then a person is not called: most of what is not understood at first is understood a moment later, or is over.
PATIENCE_PACES = 3.0
LOOK_INTO_IT = "Look at its log, its deploys and its variables: everwake why shows them together."
WELL = (State.UP, State.PAUSED, State.ASLEEP, State.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is done now. for_s: until it is thought about again.   is_well: for nothing is wrong."""

    why: str
    for_s: float = 20.0
    is_well: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A plan. about: what tells it from another plan of the same playbook.   costs, proved_by: in words.

    deploys: how many it makes.   only_if_asked: it is not done by itself, whatever `repair` says.
    """

    playbook: str
    cause: str
    why: str
    steps: tuple[RemedyStep, ...]
    costs: str
    proved_by: str
    about: str = ""
    deploys: int = 0
    back_to: str = ""
    only_if_asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHuman:
    """Only a person can go on. reason: why no remedy is left.   next: what to do.   plan: what could be done after a yes."""

    cause: str
    reason: str
    next: str
    plan: Act | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A playbook does not fit this case, because of this."""

    why: str


Decision = Wait | Act | AskHuman


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One remedy of this incident that has ended. helped: it was proved.   made_worse: the service served before, and not after.

    back_to: the deploy that served before it.   run: its id.   wrote: it wrote variables.
    """

    run: str
    playbook: str
    about: str
    cause: str
    helped: bool = False
    made_worse: bool = False
    back_to: str = ""
    wrote: bool = False
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is known of a service that is not well.

    first: the look that the incident began with.   last: the newest one.   host, deploys: what the platform tells, the newest
    deploy first; None where it was not asked.   verbs: of its platform, empty where there is none.   needs_down: services it
    depends on that are not well.   pace_s: the time by which this service is looked at, 20 s or its own interval where that is
    shorter: what is waited for is counted in it.   asked: a person wants it now.   named_s: for how long the surest cause has
    been that, while its platform could be asked.
    """

    service: str
    state: State
    diagnosis: Diagnosis
    at: datetime
    incident: Incident | None = None
    first: Observation | None = None
    last: Observation | None = None
    host: PlatformService | None = None
    deploys: tuple[DeployRecord, ...] | None = None
    verbs: frozenset[str] = frozenset()
    needs_down: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    pace_s: float = 20.0
    asked: bool = False
    named_s: float = float("inf")

    @property
    def age_s(self) -> float:
        """For how long it has not been well, since it fell last; 0 while it is well."""
        if self.state in WELL or self.incident is None:
            return 0.0
        return max(0.0, (self.at - (self.incident.fell_at or self.incident.opened_at)).total_seconds())

    @property
    def waited_s(self) -> float:
        """For how long it could have come back by itself: since it fell, but not longer than its cause is known by. One look that
        was lost late in another trouble, or was taken while our own line was away, is no reason for haste."""
        return min(self.age_s, self.named_s)

    @property
    def newest(self) -> DeployRecord | None:
        """The newest deploy that was not canceled."""
        return next((one for one in self.deploys or () if one.status != "canceled"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """What one file of `playbooks/` declares as `PLAYBOOK`.

    name: as causes name it.   cures: causes that it is thought of for beside those that name it.   rank: the cheaper goes first.
    about, costs, proved_by: in words, for people and docs.   fits: what it would do in this case; a pure function.
    """

    name: str
    about: str
    costs: str
    proved_by: str
    rank: int
    fits: Callable[[Case, Cause], Wait | Act | AskHuman | Unfit]
    cures: frozenset[str] = field(default=frozenset())


def decide(case: Case, playbooks: Mapping[str, Playbook]) -> Decision:
    """What is to be done now."""
    if case.state in WELL and not (case.asked and case.diagnosis.causes):
        return Wait(why=f"it is {case.state.value}", for_s=case.pace_s, is_well=True)
    if case.incident is not None and case.incident.parent is not None:
        return Wait(why="it follows from what it depends on, which is mended first", for_s=case.pace_s)
    undoing = _undo(case)
    if undoing is not None:
        return undoing
    causes = case.diagnosis.causes
    top = causes[0] if causes else None
    if top is None or top.cause == "unknown":
        return _not_known(case, top)
    if case.age_s < YOUNG_PACES * case.pace_s and not case.asked and top.sure < 0.9:
        return Wait(why="it may still show what it is", for_s=YOUNG_PACES * case.pace_s - case.age_s + 0.1)
    reasons: list[str] = []
    for playbook in _candidates(top, playbooks):
        found = playbook.fits(case, top)
        if isinstance(found, Act):
            found = _allowed(case, top, found)
        if not isinstance(found, Unfit):
            return _patiently(case, found) if isinstance(found, AskHuman) else found
        reasons.append(f"{playbook.name}: {found.why}")
    said = "; ".join(reasons)[:400] or f"no remedy is known for {top.cause}"
    return _patiently(case, AskHuman(cause=top.cause, reason=said, next=top.next))


def _candidates(cause: Cause, playbooks: Mapping[str, Playbook]) -> list[Playbook]:
    """Those that may cure it, the cheapest first; who asks a person comes last."""
    fit = [one for one in playbooks.values() if one.name == cause.remedy or cause.cause in one.cures]
    return sorted(fit, key=lambda one: (one.rank, one.name))


def _allowed(case: Case, cause: Cause, act: Act) -> Act | Wait | AskHuman | Unfit:
    """Whether a plan may be carried out: the platform can do it, it was not tried, and the cause is no guess."""
    lacking = sorted({verb for one in act.steps for verb in NEEDS.get(_do(one), frozenset())} - case.verbs)
    if lacking:
        return Unfit(
            why=f"its platform has no {', '.join(lacking)}" if case.verbs else "there is no way to its platform"
        )
    before = [one for one in case.tried if (one.playbook, one.about) == (act.playbook, act.about)]
    if before and not (case.asked and before[-1].helped):
        came_again = "it helped, and the same came again" if before[-1].helped else "it did not help"
        return Unfit(why=f"tried already: {before[-1].outcome or came_again}")
    if cause.sure < SURE and case.age_s < PATIENCE_PACES * case.pace_s and not case.asked:
        return Wait(why=f"{cause.cause} is only {cause.sure:.0%} sure", for_s=case.pace_s)
    if cause.sure < GUESS and not case.asked:
        said = f"{cause.cause} is only {cause.sure:.0%} sure, and nothing is done on a guess"
        return AskHuman(cause=cause.cause, reason=said, next=cause.next, plan=act)
    if act.only_if_asked and not case.asked:
        said = f"{act.playbook} is only done when somebody asks for it"
        return AskHuman(cause=cause.cause, reason=said, next=cause.next, plan=act)
    return act


def _do(one: RemedyStep) -> Do:
    return Do(one.do)


def _patiently(case: Case, ask: AskHuman) -> AskHuman | Wait:
    if case.waited_s >= PATIENCE_PACES * case.pace_s or case.asked:
        return ask
    return Wait(why=ask.reason, for_s=min(case.pace_s, PATIENCE_PACES * case.pace_s - case.waited_s + 0.1))


def _not_known(case: Case, top: Cause | None) -> Decision:
    if case.state is State.DEGRADED and not case.asked and not case.tried:
        # It serves; that it is not as it should be was told already, and there is nothing to add.
        return Wait(why="no cause was found for sure, and it serves", for_s=PATIENCE_PACES * case.pace_s)
    next_ = (top.next if top else "") or LOOK_INTO_IT
    return _patiently(case, AskHuman(cause="unknown", reason=f"no cause was found for sure{in_vain(case)}", next=next_))


def _undo(case: Case) -> Act | AskHuman | None:
    """The last remedy made it worse: what it did is taken back before anything else is thought of."""
    last = case.tried[-1] if case.tried else None
    if last is None or not last.made_worse or not last.back_to or last.playbook == "rollback":
        return None
    said = f"{last.playbook} made it worse: it served before"
    steps = (
        *((step(Do.PUT_BACK_VARIABLES, "put the variables back", run=last.run),) if last.wrote else ()),
        step(Do.ROLLBACK, f"roll back to {last.back_to}", deploy=last.back_to),
        step(Do.FOLLOW, "watch the deploy"),
    )
    act = Act(
        playbook="rollback", cause=last.cause, why=said, steps=steps, about=f"undo {last.run}", deploys=1,
        costs="one deploy", proved_by="it serves as it did before",
    )  # fmt: skip
    cause = Cause(cause=last.cause, sure=1.0, next=f"Roll back to {last.back_to}.")
    found = _allowed(case, cause, act)
    if isinstance(found, Unfit):
        return AskHuman(cause=last.cause, reason=f"{said}; {found.why}", next=cause.next)
    return found if isinstance(found, Act | AskHuman) else None


# --- what several playbooks ask -------------------------------------------------------------------------------------------


def live_deploy(case: Case) -> DeployRecord | None:
    """The deploy that serves; None where none does, or nobody knows."""
    return next((one for one in case.deploys or () if one.status == "live"), None)


def in_vain(case: Case) -> str:
    """What was done in this incident and did not help, for the end of a sentence."""
    tried = dict.fromkeys(one.playbook for one in case.tried if not one.helped)
    return f"; tried in vain: {', '.join(tried)}" if tried else ""


def blamed(case: Case, cause: Cause, *, is_error: bool = True) -> tuple[str, ...]:
    """The variables that the diagnosis blames for this cause, in its order: those that its evidence or its next step names.

    What else the doctor finds in the same service is nobody's fault now, and stays as it is.
    is_error: among what the doctor is sure of; False: among what it only advises.
    """
    said = {one.source for one in cause.evidence}
    words = {word for text in (cause.next, *(one.quote for one in cause.evidence)) for word in _names(text)}
    keys = [one.key for one in case.diagnosis.variables if one.is_error is is_error]
    return tuple(dict.fromkeys(key for key in keys if f"variables.{key}" in said or key in words))


def _names(text: str) -> list[str]:
    """What in a text could be the name of a variable."""
    word, found = "", []
    for char in f"{text[:1_000]} ":
        if char.isalnum() or char == "_":
            word += char
        elif word:
            found.append(word)
            word = ""
    return found
