"""How often the API may be asked, pure. Figures: api-docs.render.com/reference/rate-limiting, read 2026-11."""

import math
from dataclasses import dataclass, field

__all__ = ["Limits", "Meter", "Standing"]

WINDOW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Calls in one window of `window_s` seconds.

    reads, writes: for each key.   per_service: deploys, suspends, resumes and patches of one service.
    """

    reads: int = 400
    writes: int = 30
    per_service: int = 10
    window_s: float = WINDOW_S


@dataclass(frozen=True, slots=True)
class Standing:
    """After one call. reset_s: until the window ends, whole seconds, 1 or more.   is_over: this call was one too many."""

    limit: int
    remaining: int
    reset_s: int
    is_over: bool


@dataclass(slots=True)
class Meter:
    """Counts calls in windows that begin with their first call. Times are monotonic seconds."""

    limits: Limits
    _windows: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)

    def count(self, owner_id: str, method: str, path: str, now_s: float) -> Standing:
        """One more call. path: below `/v1`."""
        kind, limit = self._kind(method, path)
        began_s, used = self._windows.get((owner_id, kind), (now_s, 0))
        if now_s - began_s >= self.limits.window_s:
            began_s, used = now_s, 0
        if len(self._windows) > 10_000:
            self._windows = {key: w for key, w in self._windows.items() if now_s - w[0] < self.limits.window_s}
        reset_s = max(1, math.ceil(self.limits.window_s - (now_s - began_s)))
        if used >= limit:
            return Standing(limit, 0, reset_s, is_over=True)
        self._windows[owner_id, kind] = (began_s, used + 1)
        return Standing(limit, limit - used - 1, reset_s, is_over=False)

    def _kind(self, method: str, path: str) -> tuple[str, int]:
        if method in ("GET", "HEAD"):
            return "read", self.limits.reads
        parts = path.strip("/").split("/")
        if parts[0] == "services" and len(parts) >= 2:
            is_counted = (method == "PATCH" and len(parts) == 2) or (
                method == "POST" and len(parts) == 3 and parts[2] in ("deploys", "suspend", "resume")
            )
            if is_counted:
                return parts[1][:64], self.limits.per_service
        return "write", self.limits.writes
