"""The fleet file that is written for a platform's services is one that can be read, and says who needs whom."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from everwake.app.fleet_file import Kept, kept, looked_at, needs, text_of
from everwake.checks import specs
from everwake.checks._expect import judge
from everwake.fleet.load import read
from everwake.model import PlatformService

URLS = {
    "chatbot": "https://chatify-chatbot.onrender.com",
    "backend": "https://blabbin-backend-rsss.onrender.com",
    "frontend": "https://blabinn-frontend.onrender.com",
}


def service(name: str, type: str = "web_service") -> PlatformService:
    return PlatformService(id=f"srv-{name}", name=name, url=URLS.get(name, ""), type=type, plan="free")


def test_who_holds_anothers_address_needs_it_and_an_origin_list_is_no_need() -> None:
    variables = {
        "chatbot": {"BACKEND_CORS_ORIGINS": f'["{URLS["backend"]}"]'},
        "backend": {"CHATBOT_URL": URLS["chatbot"]},
        "frontend": {"API": URLS["backend"] + "/api"},
    }
    assert needs(variables, URLS) == {"chatbot": (), "backend": ("chatbot",), "frontend": ("backend",)}


@given(
    st.dictionaries(
        st.sampled_from(sorted(URLS)), st.dictionaries(st.sampled_from("AB"), st.sampled_from(list(URLS.values())))
    )
)
def test_nobody_ever_needs_itself_by_any_way(variables: dict[str, dict[str, str]]) -> None:
    found = needs(variables, URLS)
    for name in URLS:
        reached, todo = set[str](), [name]
        while todo:
            for parent in found[todo.pop()]:
                if parent not in reached:
                    reached.add(parent)
                    todo.append(parent)
        assert name not in reached


def test_what_nobody_reaches_from_outside_is_not_watched() -> None:
    found = kept([service("chatbot"), service("worker", "background_worker"), service("frontend", "static_site")], {})
    assert [(one.name, one.health) for one in found] == [("chatbot", "/"), ("frontend", "/")]


def test_where_the_platform_checks_no_path_any_answer_of_the_services_own_below_500_is_good() -> None:
    found = kept(
        [service("chatbot"), replace(service("backend"), health_path="/ready"), service("frontend", "static_site")], {}
    )
    text = text_of("x", found, platform="render", head="h", access={"api_key": {"env": "KEY"}})
    read_back = read(text, "everwake.toml", {"KEY": "k"}, {}, Path())
    assert [(one.name, one.health) for one in read_back.services] == [
        ("chatbot", "/"), ("backend", "/ready"), ("frontend", "/"),
    ]  # fmt: skip
    anything, backend, frontend = (one.expect for one in read_back.services)
    assert anything == looked_at(service("chatbot"))[1]
    assert not backend.status
    assert not frontend.status
    for status in (200, 302, 401, 404, 405):
        assert judge(anything, status, {}, b"", 0.1) is None
    for status, routing in (
        (500, ""),
        (502, ""),
        (502, "no-deploy"),
        (503, "suspend"),
        (404, "no-server"),
        (429, "hibernate-rate-limit"),
    ):
        failure = judge(anything, status, {"x-render-routing": routing} if routing else {}, b"", 0.1)
        assert failure is not None, (status, routing)
        assert f"status {status}, expected 200-499" in failure.detail


@given(st.text(min_size=1, max_size=40).filter(str.strip))
def test_the_file_can_be_read_whatever_the_workspace_is_called(name: str) -> None:
    text = text_of(
        name, kept([service("chatbot"), service("backend")], {"backend": {"U": URLS["chatbot"]}}),
        platform="render", head="Written by a test.", access={"api_key": {"env": "RENDER_API_KEY"}}, repair="auto",
    )  # fmt: skip
    fleet = read(text, "everwake.toml", {"RENDER_API_KEY": "k"}, {}, Path())
    assert fleet.name == name
    assert [(one.name, one.platform_id, one.depends_on, one.repair) for one in fleet.services] == [
        ("chatbot", "srv-chatbot", (), "auto"),
        ("backend", "srv-backend", ("chatbot",), "auto"),
    ]


def test_further_settings_are_written_as_toml() -> None:
    one = Kept(
        name="chatbot", url="http://127.0.0.1:1", health="/", plan="", id="srv-1",
        more={"expect": {"status": 200, "json": {"status": "healthy"}}, "heartbeat": "/ws/keepalive", "every": "3s"},
    )  # fmt: skip
    fleet = read(
        text_of("x", [one], platform="sim", head="h", access={"url": "http://127.0.0.1:2/v1"}), "f", {}, {}, Path()
    )
    assert fleet.services[0].expect.json == {"status": "healthy"}
    assert fleet.services[0].every_s == 3
    assert fleet.platforms["sim"].url == "http://127.0.0.1:2/v1"


def test_checks_are_written_behind_their_service() -> None:
    described = [
        Kept(
            name=name, url=URLS[name], health="/health", plan="", id="srv-1", checks=({"kind": "chat", "every": "15m"},)
        )
        for name in ("chatbot", "backend")
    ]
    text = text_of("two", described, platform="render", head="x", access={"api_key": {"env": "KEY"}})
    fleet = read(text, "everwake.toml", {"KEY": "k"}, specs(), Path())
    assert [[(check.kind, check.every_s) for check in one.checks] for one in fleet.services] == [[("chat", 900.0)]] * 2
