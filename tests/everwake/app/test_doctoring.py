"""The doctor at a deployed service: variables come through the platform's port, and what is mended is written, not deployed."""

from collections.abc import Mapping
from typing import Any, cast

from everwake.app.doctoring import declared_of, examine_deployed, in_variables_of
from everwake.doctor.context import Context
from everwake.doctor.kinds import Kind
from everwake.fleet.schema import Fleet, Service
from everwake.ports import Platform

URL = "redis://default:pw9xk2m8@eu1-calm-owl-31234.upstash.io:6379"


class Shelf:
    """As much of a platform as variables need: a dictionary, and what was written to it."""

    name = "render"

    def __init__(self, variables: dict[str, str]) -> None:
        self.held, self.written = variables, dict[str, str | None]()

    async def variables(self, id: str) -> Mapping[str, str]:
        assert id == "srv-1"
        return dict(self.held)

    async def set_variables(self, id: str, values: Mapping[str, str | None]) -> None:
        self.written |= values


def platform(shelf: Shelf) -> Platform:
    return cast(Platform, shelf)


async def test_a_deployed_service_is_examined_as_one_of_its_platform() -> None:
    shelf = Shelf({"HOST": "127.0.0.1", "PYTHON_VERSION": "3.11"})
    looked = await examine_deployed(platform(shelf), "srv-1", Context(service="chatbot"))
    told = {(one.problem.key, one.problem.problem, one.problem.service) for one in looked.findings}
    assert told == {("HOST", "bind_loopback", "chatbot"), ("PYTHON_VERSION", "python_version_no_patch", "chatbot")}
    assert (looked.errors, shelf.written) == (2, {})


async def test_mending_writes_what_has_one_answer_and_only_that() -> None:
    shelf = Shelf({"REDIS_URL": f'"{URL}"\n', "PORT": "8000", "OPENAI_API_KEY": "your_key_here"})
    looked = await examine_deployed(platform(shelf), "srv-1", Context(service="chatbot"), fix=True)
    assert shelf.written == {"REDIS_URL": URL.replace("redis://", "rediss://")}
    assert [one.problem.problem for one in looked.findings] == ["placeholder"]
    assert "pw9xk2m8" not in repr(looked)


async def test_a_plan_writes_nothing() -> None:
    shelf = Shelf({"REDIS_URL": URL})
    looked = await examine_deployed(platform(shelf), "srv-1", Context(), fix=True, write=False)
    assert (list(looked.values), shelf.written) == (["REDIS_URL"], {})


def test_a_services_surroundings_come_from_the_fleet() -> None:
    variables: Mapping[str, Any] = {"from": "chatify.backend", "TEAM": "text"}
    backend = Service(name="backend", url="https://shop-api.onrender.com", platform="render", variables=variables)
    fleet = Fleet(name="shop", services=(backend, Service(name="chatbot", url="https://shop-bot.onrender.com")))
    context = in_variables_of("backend", fleet, Context())
    assert (context.url, context.platform, dict(context.siblings)) == (
        backend.url, "render", {"chatbot": "https://shop-bot.onrender.com"},
    )  # fmt: skip
    assert context.declared["CHATBOT_URL"].kind is Kind.HTTP_URL
    assert declared_of(backend)["TEAM"].kind is Kind.TEXT
