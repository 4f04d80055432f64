"""What services use: free hours, charged as they run, and samples for the metrics, kept in memory for the last day or so."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from everwake.sim.processes import tree
from everwake.sim.verbs import Metric, Refused, Sample, Series

__all__ = ["Meter"]

KEPT_SAMPLES = 2_880  # a day of one each 30 s
EVERY_S = 30.0


@dataclass(slots=True)
class _Of:
    """One service's."""

    cpu: dict[str, deque[Sample]] = field(default_factory=dict)
    memory: dict[str, deque[Sample]] = field(default_factory=dict)
    count: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT_SAMPLES))
    answered: deque[tuple[datetime, Counter[int], int]] = field(default_factory=lambda: deque(maxlen=KEPT_SAMPLES))
    cpu_before: dict[str, tuple[datetime, float]] = field(default_factory=dict)


class Meter:
    """Samples of all services. Nothing of it is durable: after a restart the metrics begin anew."""

    def __init__(self) -> None:
        self._of: dict[str, _Of] = {}

    def answered(self, service_id: str, statuses: Mapping[int, int], sent_bytes: int, at: datetime) -> None:
        """Requests were answered. statuses: how many by status."""
        those = self._of.setdefault(service_id, _Of()).answered
        if not those or (at - those[-1][0]).total_seconds() >= EVERY_S:
            those.append((at, Counter(), 0))
        began, counted, sent = those[-1]
        counted.update(statuses)
        those[-1] = (began, counted, sent + sent_bytes)

    def sampled(self, service_id: str, uses: Mapping[str, tree.Use], at: datetime) -> None:
        """What its instances, by id, use at one moment."""
        one = self._of.setdefault(service_id, _Of())
        one.count.append(Sample(at, len(uses)))
        for instance, use in uses.items():
            one.memory.setdefault(instance, deque(maxlen=KEPT_SAMPLES)).append(Sample(at, use.memory_bytes))
            before_at, before_s = one.cpu_before.get(instance, (at, use.cpu_s))
            passed_s = (at - before_at).total_seconds()
            if passed_s > 0:
                cores = max(0.0, use.cpu_s - before_s) / passed_s
                one.cpu.setdefault(instance, deque(maxlen=KEPT_SAMPLES)).append(Sample(at, cores))
            one.cpu_before[instance] = (at, use.cpu_s)
        for gone in one.cpu_before.keys() - uses.keys():
            del one.cpu_before[gone]
        for kept in (one.cpu, one.memory):
            for instance in [each for each, those in kept.items() if each not in uses and len(kept) > 50 and those]:
                del kept[instance]

    def series(
        self, metric: Metric, service_id: str, since: datetime, until: datetime, resolution_s: int
    ) -> Sequence[Series]:
        """`Workspace.metric`."""
        if resolution_s < EVERY_S:
            raise Refused(400, f"resolutionSeconds must be {EVERY_S:g} or more")
        one = self._of.get(service_id, _Of())
        labels = {"resource": service_id, "service": service_id}
        window = (since, until, resolution_s)
        if metric in (Metric.CPU, Metric.MEMORY):
            kept, unit = (one.cpu, "cpu") if metric is Metric.CPU else (one.memory, "bytes")
            series = [
                Series(unit=unit, labels={**labels, "instance": id_}, samples=_means(those, *window))
                for id_, those in kept.items()
            ]
        elif metric is Metric.INSTANCE_COUNT:
            series = [Series(unit="instances", labels=labels, samples=_means(one.count, *window))]
        elif metric is Metric.BANDWIDTH:
            sent = [Sample(at, bytes_) for at, _, bytes_ in one.answered]
            series = [Series(unit="bytes", labels=labels, samples=_sums(sent, *window))]
        else:
            statuses = sorted({status for _, counted, _ in one.answered for status in counted})
            series = [
                Series(
                    unit="requests", labels={**labels, "statusCode": str(status)},
                    samples=_sums([Sample(at, counted[status]) for at, counted, _ in one.answered if counted[status]], *window),
                )
                for status in statuses
            ]  # fmt: skip
        return [each for each in series if each.samples]


def _buckets(
    samples: Sequence[Sample] | deque[Sample], since: datetime, until: datetime, step_s: int
) -> dict[datetime, list[float]]:
    found: dict[datetime, list[float]] = {}
    for each in samples:
        if since <= each.at <= until:
            begins = datetime.fromtimestamp(each.at.timestamp() // step_s * step_s, UTC)
            found.setdefault(begins, []).append(each.value)
    return found


def _means(samples: deque[Sample], since: datetime, until: datetime, step_s: int) -> tuple[Sample, ...]:
    return tuple(Sample(at, sum(those) / len(those)) for at, those in _buckets(samples, since, until, step_s).items())


def _sums(samples: Sequence[Sample], since: datetime, until: datetime, step_s: int) -> tuple[Sample, ...]:
    return tuple(Sample(at, sum(those)) for at, those in _buckets(samples, since, until, step_s).items())
