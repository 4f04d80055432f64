"""The keeper's HTTP put together: `create(door, settings)` answers everything of one running keeper."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from everwake.clock import SystemClock
from everwake.fleet.schema import Keeper
from everwake.model import Incident
from everwake.ports import Clock
from everwake.web import answers, metrics, openapi, problems
from everwake.web.api import Api, each_service
from everwake.web.auth import COOKIE, COOKIE_LASTS_S, Attempts, Doorkeeper, require_safe
from everwake.web.badge import badge
from everwake.web.body import read_body
from everwake.web.door import HistoryUnavailable, KeeperDoor
from everwake.web.gate import Gate, too_often
from everwake.web.hours import HoursApi
from everwake.web.live import LINES, Hub
from everwake.web.pages import Pages, percent, read_form, safe_next, spoken
from everwake.web.problems import Problem, no_service
from everwake.web.remedies import Remedies
from everwake.web.uptimes import Uptimes

__all__ = ["create"]

HISTORY_WITHIN_S = 2.0
INCIDENTS = 10  # on the public page


def create(door: KeeperDoor, settings: Keeper, *, clock: Clock | None = None, key: bytes | None = None) -> Starlette:
    """An ASGI application; call it in the keeper's own loop. `app.state.hub.close()` ends live views, before the server stops.

    settings: host, password, token, allowed_hosts, public_url.   key: signs the cookies, 32 random bytes; without one, everybody
    signs in again after a restart.

    Raises:
        Misused: when it would be open to the network without a password or token.
    """
    require_safe(settings)
    clock = clock or SystemClock()
    doorkeeper, attempts = Doorkeeper(settings, key or secrets.token_bytes(32)), Attempts()
    uptimes = Uptimes(door)
    hub = Hub(door, uptimes)
    site = _Site(door, hub, uptimes, doorkeeper, attempts, clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        leave = door.subscribe(hub)
        await _remember(door, hub)
        async with asyncio.TaskGroup() as group:
            tasks = (group.create_task(hub.run()), group.create_task(uptimes.run()))
            try:
                yield
            finally:
                leave()
                hub.close()
                for task in tasks:
                    task.cancel()

    app = Starlette(
        routes=[*Api(door, hub, uptimes, clock).routes, *HoursApi(door).routes, *Remedies(door).routes, *site.routes],
        middleware=[Middleware(Gate, doorkeeper, attempts, clock)],
        exception_handlers=problems.handlers,
        lifespan=lifespan,
    )
    # A redirect from /path/ to /path would turn somebody's typing error into two different addresses.
    app.router.redirect_slashes = False
    app.state.hub = hub
    return app


async def _remember(door: KeeperDoor, hub: Hub) -> None:
    """The log of before this start; a history that cannot be read holds nothing up."""
    try:
        async with asyncio.timeout(HISTORY_WITHIN_S):
            page = await door.log(service=None, limit=LINES, cursor=None)
    except (HistoryUnavailable, TimeoutError):
        return
    hub.remember(list(reversed(page.items)))


class _Site:
    """Everything that is not the API."""

    def __init__(
        self, door: KeeperDoor, hub: Hub, uptimes: Uptimes, doorkeeper: Doorkeeper, attempts: Attempts, clock: Clock
    ) -> None:
        self._door, self._hub, self._uptimes = door, hub, uptimes
        self._doorkeeper, self._attempts, self._clock = doorkeeper, attempts, clock
        self._version = metadata.version("everwake")
        self._pages = Pages(self._version)

    @property
    def routes(self) -> list[Route]:
        """Of the pages and of what machines read."""
        return [
            Route("/", self.dashboard),
            Route("/status", self.status),
            Route("/login", self.login),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/logout", self.sign_out, methods=["POST"]),
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/badge/{name}.svg", self.badge),
            Route("/docs", self.docs),
            Route("/openapi.json", self.openapi),
            Route("/static/{file:path}", self.static),
        ]

    # --- pages --------------------------------------------------------------------------------------------------------

    async def dashboard(self, request: Request) -> Response:
        """The page people look at. It says at once how things stand; everything else comes over the live events."""
        head = answers.Head()
        async for view in each_service(self._door):
            head.add(view.title, view.state, None)
        signed_in = self._doorkeeper.asks and self._doorkeeper.is_signed_in(
            request.cookies.get(COOKIE, ""), self._clock.now()
        )
        said = head.sentence(self._door.monitoring)
        return self._page("dashboard.html", name=self._door.name, sentence=said, signed_in=signed_in)

    async def status(self, request: Request) -> Response:
        """The public page: titles, states, uptimes, incidents. No addresses, no evidence."""
        head, titles, services, uptimes = answers.Head(), {}, [], self._uptimes()
        async for view in each_service(self._door):
            head.add(view.title, view.state, None)
            titles[view.name] = view.title
            services.append(
                {
                    "title": view.title,
                    "state": view.state.value,
                    "since": spoken(view.since) if view.since else None,
                    "uptime": percent(uptimes.get(view.name, answers.NO_UPTIME)["90d"]),
                }
            )
        incidents = [
            {
                "title": titles[one.service],
                "opened_at": spoken(one.opened_at),
                "closed_at": spoken(one.closed_at) if one.closed_at else None,
            }
            for one in await self._last_incidents()
            if one.service in titles
        ]
        return self._page(
            "status.html",
            name=self._door.name,
            sentence=head.sentence(self._door.monitoring),
            at=spoken(self._clock.now()),
            services=services,
            incidents=incidents,
        )

    async def _last_incidents(self) -> list[Incident]:
        """Open ones by heart; those that are over, as long as the history answers."""
        now_open = sorted(self._door.open_incidents(), key=lambda one: one.opened_at, reverse=True)
        try:
            async with asyncio.timeout(HISTORY_WITHIN_S):
                page = await self._door.incidents(service=None, limit=INCIDENTS, cursor=None)
        except (HistoryUnavailable, TimeoutError):
            return now_open
        ids = {one.id for one in now_open}
        return [*now_open, *(one for one in page.items if one.id not in ids and one.closed_at is not None)]

    async def docs(self, request: Request) -> Response:
        """What the API answers, as a page of our own: the usual viewers are loaded from somebody else's host."""
        return self._page("docs.html", document=openapi.document(self._version))

    async def openapi(self, request: Request) -> Response:
        """The same for programs."""
        return Response(answers.json_bytes(openapi.document(self._version)), media_type="application/json")

    def _page(self, template: str, status: int = 200, /, **context: object) -> Response:
        body = self._pages.render(template, **context)
        return Response(body, status, {"Cache-Control": "no-store"}, media_type="text/html")

    async def static(self, request: Request) -> Response:
        """Scripts, styles and pictures of the pages: asked for again each time, sent again only when they changed."""
        file = self._pages.files.get(request.path_params["file"])
        if file is None:
            raise Problem(404, "not_found", "There is no such file.")
        headers = {"ETag": f'"{file.tag}"', "Cache-Control": "no-cache"}
        if f'"{file.tag}"' in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)

    # --- signing in ---------------------------------------------------------------------------------------------------

    async def login(self, request: Request) -> Response:
        """Ask for the password."""
        if not self._doorkeeper.asks:
            return RedirectResponse("/", 303)
        wanted = safe_next(request.query_params.get("next", "/"))
        return self._login(200, wanted)

    def _login(self, status: int, wanted: str, problem: str | None = None) -> Response:
        return self._page("login.html", status, name=self._door.name, next=wanted, problem=problem)

    async def sign_in(self, request: Request) -> Response:
        """Take the password; the cookie is out of reach of scripts and of other sites."""
        form = read_form(await read_body(request), ("password", "next"))
        wanted, now_s = safe_next(form["next"]), self._clock.monotonic()
        address = request.client.host if request.client else ""
        wait_s = self._attempts.wait_s(address, now_s)
        if wait_s > 0:
            refusal = too_often(wait_s)
            page = self._login(429, wanted, refusal.detail)
            page.headers.update(refusal.headers)
            return page
        if not self._doorkeeper.is_password(form["password"]):
            self._attempts.failed(address, now_s)
            return self._login(401, wanted, "That is not the password.")
        answer = RedirectResponse(wanted, 303)
        answer.set_cookie(
            COOKIE,
            self._doorkeeper.cookie(self._clock.now()),
            max_age=COOKIE_LASTS_S,
            httponly=True,
            # Lax, so that a link in a message opens the dashboard; no GET changes anything.
            samesite="lax",
            secure=self._doorkeeper.is_secure(request.headers, request.url.scheme),
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Forget who it was."""
        answer = RedirectResponse("/login", 303)
        secure = self._doorkeeper.is_secure(request.headers, request.url.scheme)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=secure)
        return answer

    # --- machines -----------------------------------------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """The keeper runs; how its services are is another question."""
        body = {
            "status": "healthy",
            "service": "everwake",
            "version": self._version,
            "monitoring": self._door.monitoring,
        }
        return Response(answers.json_bytes(body), headers={"Cache-Control": "no-store"}, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        uptimes = self._uptimes()
        told = metrics.Exposition(self._door.numbers(), self._hub.incidents_opened)
        async for view in each_service(self._door):
            told.add(view, uptimes.get(view.name, {}))
        text = told.text(version=self._version, monitoring=self._door.monitoring, readers=self._hub.readers)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    async def badge(self, request: Request) -> Response:
        """Name and state as a picture."""
        name = request.path_params["name"]
        try:
            view = self._door.service(name)
        except KeyError:
            raise no_service(name, self._door.names) from None
        headers = {"Cache-Control": "no-cache, max-age=0"}
        return Response(badge(view.name, view.state), headers=headers, media_type="image/svg+xml")
