"""Every URL of every service against the hosts that exist: the incident's own wrong addresses."""

from everwake.doctor.fleet_wide import study_fleet

URLS = {
    "chatbot": "https://chatify-chatbot.onrender.com",
    "backend": "https://blabbin-backend-rsss.onrender.com",
    "redis-service": "https://blabbin-redis.onrender.com",
    "frontend": "https://blabinn-frontend.onrender.com",
}


def found(variables: dict[str, dict[str, str]]) -> dict[str, list[tuple[str, str]]]:
    studied = study_fleet(variables, URLS)
    return {
        name: [(one.key, one.problem) for one in study.problems] for name, study in studied.items() if study.problems
    }


def test_a_fleet_whose_addresses_exist_has_no_findings() -> None:
    assert found({
        "backend": {"CHATBOT_URL": URLS["chatbot"], "REDIS_SERVICE_URL": URLS["redis-service"], "PUBLIC_URL": URLS["backend"]},
        "chatbot": {"BACKEND_CORS_ORIGINS": f'["{URLS["frontend"]}", "{URLS["backend"]}"]'},
        "frontend": {"VITE_API_URL": URLS["backend"] + "/api"},
    }) == {}  # fmt: skip


def test_hosts_that_are_nobodys_are_told_with_whose_they_should_be() -> None:
    studied = study_fleet({"backend": {"CHATBOT_URL": "https://chatify-chatbot-ww0z.onrender.com"}}, URLS)
    (problem,) = studied["backend"].problems
    assert (problem.problem, problem.value) == ("wrong_sibling_host", URLS["chatbot"])
    assert "chatbot is chatify-chatbot.onrender.com" in problem.fix


def test_an_old_name_a_loop_and_a_forgotten_page_are_told() -> None:
    assert found({
        "frontend": {"VITE_BACKEND_URL": "https://blabbin-backend.onrender.com"},
        "backend": {"CHATBOT_URL": URLS["backend"]},
        "chatbot": {"BACKEND_CORS_ORIGINS": f'["{URLS["backend"]}"]'},
    }) == {
        "frontend": [("VITE_BACKEND_URL", "wrong_sibling_host")],
        "backend": [("CHATBOT_URL", "service_loop")],
        "chatbot": [("BACKEND_CORS_ORIGINS", "origin_forgets_sibling")],
    }  # fmt: skip


def test_another_services_address_is_told() -> None:
    assert found({"backend": {"CHATBOT_URL": URLS["redis-service"]}}) == {
        "backend": [("CHATBOT_URL", "wrong_sibling_host")]
    }


def test_somebody_elses_service_on_the_same_platform_is_not() -> None:
    assert found({"backend": {"WEATHER_URL": "https://open-weather.onrender.com"}}) == {}
