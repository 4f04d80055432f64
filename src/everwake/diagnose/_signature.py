"""One signature of an edge: what must stand in an answer, and what that points to. Pure."""

from dataclasses import dataclass

from everwake.diagnose.look import Look

__all__ = ["Signature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One answer of one edge. All that is given must fit.

    platform: "" for any.   status: empty for any.   header: name and how its value begins, lower case.   words: any of them in
    the body, lower case.   is_bare: the body is empty and no header of the platform's own stands there.
    points: cause -> how sure.
    """

    platform: str = ""
    status: tuple[int, ...] = ()
    header: tuple[str, str] | None = None
    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    is_bare: bool = False
    methods: tuple[str, ...] = ()
    means: str
    points: tuple[tuple[str, float], ...]

    def fits(self, look: Look, where: str, low: str) -> bool:
        """Whether the answer is this one."""
        if self.platform and where != self.platform:
            return False
        if self.status and look.status not in self.status:
            return False
        if self.methods and look.method not in self.methods:
            return False
        if self.header is not None:
            name, begins = self.header
            if name not in look.headers or not look.headers[name].strip().lower().startswith(begins):
                return False
        if self.words and not any(word in low for word in self.words):
            return False
        if any(word in low for word in self.without):
            return False
        return not (self.is_bare and (look.is_own or (low and not _is_plain_error(low))))


def _is_plain_error(low: str) -> bool:
    """A proxy's own page, short and without any words of a program: "502 Bad Gateway", with or without tags."""
    words = low.replace("<", " <").split()
    told = {word.strip(".:!").strip() for word in words if not word.startswith("<")}
    plain = {
        "502",
        "503",
        "504",
        "404",
        "500",
        "bad",
        "gateway",
        "service",
        "unavailable",
        "timeout",
        "time-out",
        "not",
        "found",
        "nginx",
        "internal",
        "server",
        "error",
        "temporarily",
        "html",
        "openresty",
        "",
        "the",
        "is",
        "cloudflare",
        "caddy",
        "-",
        "upstream",
    }
    return len(words) < 40 and all(word.split(">")[-1].split("<")[0] in plain or "/" in word for word in told)
