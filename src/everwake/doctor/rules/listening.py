"""Where a service listens: its address, its port, and whether the platform looks there."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.hosts import is_ip, is_loopback
from everwake.doctor.kinds import Kind, words_of

__all__ = ["RULE"]

# Platforms that choose PORT themselves; what a person sets is replaced or refused (their manuals, read 2026-11).
_CHOOSE_PORT = {"heroku": "Heroku", "cloud_run": "Cloud Run", "app_engine": "App Engine"}
_RESERVED = {"render": (18012, 18013, 19099)}
_FIXED = {"huggingface": 7860}
# Families whose host is a bare name everywhere.
_BARE = frozenset({
    "DB", "DATABASE", "POSTGRES", "PG", "MYSQL", "MARIADB", "MONGO", "REDIS", "VALKEY", "SMTP", "MAIL", "EMAIL", "IMAP",
    "FTP", "RABBITMQ",
    "HOSTS", "COOKIE", "AUTH0", "SHOPIFY", "MEMCACHED", "SQL", "LDAP", "SSH", "MQTT",
})  # fmt: skip
_TAKES_NO_PORT = frozenset({"HOST", "HOSTNAME", "UVICORN_HOST", "FLASK_RUN_HOST", "GRADIO_SERVER_NAME"})
_ARGUMENTS = re.compile(r"(?:--bind|-b|--host|--address|--listen)[= ](127\.0\.0\.1|localhost|\[?::1\]?)(?=[:\s\"']|$)")


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Addresses to listen on, hosts that are URLs, ports."""
    if variable.kind is Kind.BIND:
        yield from _bind(variable, case)
    elif variable.kind is Kind.ROUTE or (
        variable.kind in (Kind.HOST, Kind.HOSTS) and _wants_a_name(variable.key, case)
    ):
        yield from _field(variable)
    elif variable.kind is Kind.PORT:
        yield from _port(variable, case)
    elif words_of(variable.key)[-1:] in (("ARGS",), ("OPTS",), ("OPTIONS",), ("COMMAND",)) and _is_reached_from_outside(
        case
    ):
        found = _ARGUMENTS.search(variable.value)
        if found is not None:
            yield Hit(
                problem="bind_loopback",
                fix="listen on 0.0.0.0: on loopback nobody outside the instance can reach it",
                at=found.start(1),
                end=found.end(1),
                edits=((found.start(1), found.end(1), "0.0.0.0"),),  # noqa: S104
            )


def _is_reached_from_outside(case: Case) -> bool:
    return case.is_production and case.context.platform != "sim"


def _wants_a_name(key: str, case: Case) -> bool:
    """Whether a bare name belongs there; OLLAMA_HOST, DOCKER_HOST and POSTHOG_HOST take URLs."""
    words = set(words_of(key))
    return bool(words & _BARE) or any(words_of(other) == (*words_of(key)[:-1], "PORT") for other in case.values)


def _bind(variable: Variable, case: Case) -> Iterator[Hit]:
    value = variable.value.strip()
    if "://" in value:
        yield from _field(variable)
        return
    host = re.sub(r":\d+$", "", value)
    if variable.key.upper() in _TAKES_NO_PORT and host != value and (is_ip(host) or is_loopback(host)):
        at = variable.value.find(value) + len(host)
        yield Hit(
            problem="bad_type",
            fix="write the address alone: the port has a variable of its own, PORT",
            at=at,
            end=at + len(value) - len(host),
            is_error=True,
        )
    elif is_loopback(host) and not re.fullmatch(r"0\.0\.0\.0|\[?::\]?", host) and _is_reached_from_outside(case):
        at = variable.value.find(host)
        yield Hit(
            problem="bind_loopback",
            fix="write 0.0.0.0: on loopback nobody outside the instance can reach it",
            at=at,
            end=at + len(host),
            edits=((at, at + len(host), "0.0.0.0"),),  # noqa: S104
        )
    elif re.fullmatch(r"[0-9.]{5,}", host) and (
        host.count(".") != 3 or any(not part or int(part) > 255 for part in host.split("."))
    ):
        yield Hit(
            problem="bad_type",
            fix="write 0.0.0.0, or an address of this machine",
            end=len(variable.value),
            is_error=True,
        )


def _field(variable: Variable) -> Iterator[Hit]:
    """A URL where only a name, or only a path, belongs."""
    value, kind = variable.value.strip(), variable.kind
    if kind is Kind.ROUTE:
        found = re.match(r"(?:https?://)?[A-Za-z0-9.-]+(?::\d{1,5})?(?=/)", value)
        if found is None or value.startswith("/") or not re.search(r"[.:]|localhost", found[0]):
            if (
                value
                and not value.startswith(("/", "$", "*"))
                and "HEALTH" in words_of(variable.key)
                and re.fullmatch(r"[\w/-]+", value)
            ):
                return
            return
        yield Hit(
            problem="scheme_in_host_field",
            fix="write the path alone: "
            + (value[found.end() :] if re.fullmatch(r"[/\w.-]{1,40}", value[found.end() :]) else "/health"),
            at=0,
            end=found.end(),
            edits=((0, variable.value.find(value) + found.end(), ""),),
        )
        return
    for each in re.finditer(r"[^\s,;\"'\[\]]+", variable.value):
        scheme = re.match(r"[a-z][a-z0-9+.-]*://", each[0], re.IGNORECASE)
        if scheme is None:
            continue
        rest = each[0][scheme.end() :]
        bare = rest.rstrip("/")
        start = each.start()
        edits = (
            ((start, each.end(), bare),)
            if re.fullmatch(r"[A-Za-z0-9.-]+", bare)
            else ((start, start + scheme.end(), ""),)
            if re.fullmatch(r"[A-Za-z0-9.-]+:\d{1,5}", bare)
            else ()
        )
        yield Hit(
            problem="scheme_in_host_field",
            fix="write the host alone, without scheme and path",
            at=start,
            end=start + scheme.end(),
            edits=edits,
            found=scheme[0],
        )
        return


def _port(variable: Variable, case: Case) -> Iterator[Hit]:
    value = variable.value.strip()
    words = words_of(variable.key)
    if re.match(r"(?:tcp|udp)://(?:\d{1,3}\.){3}\d{1,3}:\d{1,5}$", value):
        yield Hit(
            problem="k8s_service_link",
            fix="Kubernetes wrote this for a service of that name: rename it, or set enableServiceLinks: false",
            end=len(variable.value),
            is_error=True,
            stops=True,
        )
        return
    if not re.fullmatch(r"[0-9]{1,9}", value):
        if value and not re.match(r"[$%{]", value):
            digits = re.match(r"([0-9]{1,5})(?:/(?:tcp|udp)|[ ,;.]\s*)$", value)
            yield Hit(
                problem="bad_type",
                fix="write the number alone",
                end=len(variable.value),
                edits=((0, len(variable.value), digits[1]),) if digits else (),
                is_error=True,
                stops=True,
            )
        return
    port = int(value)
    context = case.context
    own = variable.key.upper() in (
        "PORT",
        "APP_PORT",
        "SERVER_PORT",
        "HTTP_PORT",
        "LISTEN_PORT",
        "WEB_PORT",
        "UVICORN_PORT",
    ) or words[:1] in (("SERVER",), ("UVICORN",), ("GUNICORN",), ("STREAMLIT",), ("GRADIO",))
    if not 0 < port < 65_536:
        if not (port == 0 and case.is_development):
            yield Hit(problem="wrong_port", fix="write a port from 1 to 65535", end=len(variable.value))
        return
    if own and variable.key.upper() == "PORT" and context.runs_on in _CHOOSE_PORT and not context.managed:
        yield Hit(
            problem="port_overridden",
            fix=f"remove it: {_CHOOSE_PORT[context.runs_on]} chooses the port and sets PORT itself",
            end=len(variable.value),
            is_error=True,
        )
        return
    if own:
        if port in _RESERVED.get(context.runs_on, ()):
            yield Hit(
                problem="wrong_port",
                fix="choose another, such as 10000: Render keeps this one for itself",
                end=len(variable.value),
            )
            return
        wanted = context.target_port if context.target_port is not None else context.listens_on
        reason = "requests are sent to" if context.target_port is not None else "the program listens on"
        if wanted is None and context.runs_on in _FIXED and variable.key.upper() in ("PORT", "GRADIO_SERVER_PORT"):
            wanted, reason = _FIXED[context.runs_on], "unless app_port says otherwise, requests are sent to"
        if wanted is not None and wanted != port:
            yield Hit(
                problem="wrong_port",
                fix=f"write {wanted}: {reason} port {wanted}",
                end=len(variable.value),
                edits=((0, len(variable.value), str(wanted)),) if context.target_port is not None else (),
            )
        return
    usual = {"REDIS": 6379, "POSTGRES": 5432, "PG": 5432, "MYSQL": 3306, "MONGO": 27017}
    mine = next((usual[word] for word in words if word in usual), None)
    if mine is not None and port != mine and port in usual.values():
        yield Hit(problem="wrong_port", fix=f"write {mine}: {port} is another server's", end=len(variable.value))


def look_at_all(case: Case) -> Iterator[Hit]:
    """Where the program listens, without a variable that says so."""
    context = case.context
    if context.target_port is None or context.listens_on is None or context.target_port == context.listens_on:
        return
    if not any(
        key.upper() == "PORT" or (key.upper().endswith("_PORT") and "SERVER" in key.upper()) for key in case.values
    ):
        yield Hit(
            problem="wrong_port",
            key="PORT",
            fix=f"set PORT={context.target_port}: requests are sent there, and the program listens on {context.listens_on}",
            at=None,
            found=str(context.listens_on),
        )


RULE = Rule(
    name="listening",
    about="An address or port on which the platform does not find the service; a URL where only a host or a path belongs.",
    problems=("bind_loopback", "scheme_in_host_field", "wrong_port", "port_overridden", "k8s_service_link", "bad_type"),
    look=look,
    look_at_all=look_at_all,
    order=50,
    examples=(
        Example(("HOST bind_loopback",), {"HOST": "localhost"}, context={"platform": "railway"}),
        Example(
            ("GUNICORN_CMD_ARGS bind_loopback",),
            {"GUNICORN_CMD_ARGS": "--bind 127.0.0.1:8000 --workers 2"},
            context={"environment": "production"},
        ),
        Example(("DB_HOST scheme_in_host_field",), {"DB_HOST": "https://db.example.com"}),
        Example(("ALLOWED_HOSTS scheme_in_host_field",), {"ALLOWED_HOSTS": "https://app.example.com"}),
        Example(("HEALTH_CHECK_PATH scheme_in_host_field",), {"HEALTH_CHECK_PATH": "https://app.example.com/health"}),
        Example(("PORT wrong_port",), {"PORT": "19099"}, context={"platform": "render"}),
        Example(("PORT wrong_port",), {"PORT": "8000"}, context={"target_port": 3000}),
        Example(("PORT wrong_port",), {"PORT": "80000"}),
        Example(("PORT port_overridden",), {"PORT": "9000"}, context={"platform": "cloud run"}),
        Example(("REDIS_PORT k8s_service_link",), {"REDIS_PORT": "tcp://10.96.0.12:6379"}),
        Example(("PORT bad_type",), {"PORT": "8000/tcp"}),
        Example(("HOST bad_type",), {"HOST": "0.0.0.0:8000"}),
        Example(
            (),
            {"PORT": "10000", "HOST": "0.0.0.0", "DB_HOST": "db.example.com", "DB_PORT": "6543"},  # noqa: S104
            context={"platform": "render"},
        ),
        Example((), {"PORT": "3000", "HOST": "127.0.0.1", "ENVIRONMENT": "development"}),
        Example((), {"SERVER_HOST": "0.0.0.0:8000", "APP_HOST": "app.example.com:8443"}),
        Example((), {"PORT": "$PORT", "HEALTH_CHECK_PATH": "/health", "ALLOWED_HOSTS": "app.example.com,.example.org"}),
    ),
)
