"""What a person pastes is told apart by its shape, and what was recognised is said."""
# ruff: noqa: E501 - lines of logs and answers are as long as they are

from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.diagnose import diagnose
from everwake.diagnose.documents import facts_of
from everwake.diagnose.paste import parse


def test_a_log_in_json_below_a_body_in_json_is_no_part_of_it() -> None:
    line = '{"time": "2026-11-28T03:05:06Z", "level": "warning", "message": "[AI_ORCHESTRATOR] outbox not available: auth"}'
    pasted = parse(
        f'HTTP/1.1 503 Service Unavailable\ncontent-type: application/problem+json\n\n{{"status":503}}\n{line}\n{line}'
    )
    assert pasted.document["log"] == [line, line]
    assert pasted.document["http"]["body"] == '{"status":503}'
    alone = parse(f"HTTP/1.1 500 Internal Server Error\n\n{line}")
    assert "log" not in alone.document


def test_curl_i_with_a_command_gives_url_status_headers_and_body() -> None:
    found = parse(
        '$ curl -i -H "Origin: https://b.com" https://a.onrender.com/health\nHTTP/2 503 \nx-render-routing: suspend-by-user\nretry-after: 5\n\nService Suspended\n'
    )
    http = found.document["http"]
    assert (http["url"], http["status"], http["body"]) == ("https://a.onrender.com/health", 503, "Service Suspended")
    assert http["headers"] == {"x-render-routing": "suspend-by-user", "retry-after": "5"}
    assert http["request"] == {"method": "GET", "headers": {"origin": "https://b.com"}}
    assert found.recognised == ("an HTTP answer of https://a.onrender.com/health: 503",)


def test_of_answers_on_the_way_only_the_last_counts() -> None:
    found = parse(
        "HTTP/1.1 301 Moved\r\nlocation: https://b.com/\r\n\r\nHTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\ncontent-type: text/plain\n\nok".replace(
            "\r\n", "\n"
        )
    )
    assert found.document["http"]["status"] == 200
    assert found.document["http"]["url"] == "https://b.com/"
    assert "log" not in found.document


def test_curl_v_is_read_with_its_request_and_without_its_chatter() -> None:
    found = parse(
        "*   Trying 1.2.3.4:443...\n* Connected to a\n> POST /x HTTP/2\n> Host: a.onrender.com\n> Accept: */*\n> \n< HTTP/2 429 \n< x-render-routing: hibernate-rate-limited\n< \n* Connection #0 left intact\n"
    )
    http = found.document["http"]
    assert (http["url"], http["request"]["method"], http["status"]) == ("https://a.onrender.com/x", "POST", 429)
    assert "log" not in found.document


def test_a_curl_error_is_a_failure_without_an_answer() -> None:
    found = parse(
        "$ curl -i https://a.onrender.com/\ncurl: (28) Operation timed out after 30001 milliseconds with 0 bytes received"
    )
    assert diagnose(facts_of(found.document)).causes[0].cause == "waking"
    refused = parse(
        "curl https://a.example.com/\ncurl: (7) Failed to connect to a.example.com port 443: Connection refused"
    )
    assert diagnose(facts_of(refused.document)).causes[0].cause == "instance_unreachable"


def test_two_commands_are_two_looks_and_the_last_is_the_one_that_matters() -> None:
    found = parse("$ curl -i https://a.com/\nHTTP/2 200\n\nok\n$ curl -i https://a.com/\nHTTP/2 502\n\nbad\n")
    facts = facts_of(found.document)
    assert [look.status for look in facts.looks] == [502, 200]
    assert found.recognised == ("2 HTTP answers, the last of https://a.com/: 502",)


def test_a_mix_is_taken_apart() -> None:
    found = parse(
        "HTTP/2 502\nx-render-routing: no-deploy\n\n"
        '# production\nPORT=8000\nexport KEY="-----BEGIN X KEY-----\nabc\n-----END X KEY-----"\n'
        "2026-01-01T11:29:58Z ValidationError: 1 validation error for Settings\n==> Exited with status 1\n"
    )
    assert found.recognised == ("an HTTP answer: 502", "a .env of 2 variables", "a log of 2 lines")
    assert found.document["dotenv"].count("\n") == 4
    assert "# production" not in found.document.get("log", [])


def test_what_stands_in_a_page_is_the_page() -> None:
    found = parse(
        "HTTP/1.1 500 Oops\ncontent-type: text/html\n\n<html>\n<pre>\nSECRET=1\nerror here\n</pre>\n</html>\n"
    )
    assert "SECRET=1" in found.document["http"]["body"]
    assert "dotenv" not in found.document


def test_a_log_of_json_lines_is_a_log_and_facts_are_facts() -> None:
    assert "log" in parse('{"level":"error","msg":"boom"}\n{"level":"info","msg":"ok"}').document
    assert parse('{"id":"a","log":["x"]}\n{"id":"b"}').document == {"id": "a", "log": ["x"]}
    assert parse('{"facts":{"log":["x"]},"truth":"y"}').recognised == ("facts as JSON",)


def test_nothing_is_nothing() -> None:
    assert parse("").document == {}
    assert parse("\n\n").recognised == ()


@given(
    st.lists(
        st.sampled_from(
            [
                "HTTP/2 503",
                "< HTTP/1.1 200 OK",
                "",
                "A=1",
                "x-y: z",
                "> GET / HTTP/1.1",
                "{",
                "<html>",
                "==> x",
                "$ curl -i 'https://a",
                'KEY="-----BEGIN',
                "curl: (7)",
            ]
        )
        | st.text(max_size=60),
        max_size=30,
    )
)
@settings(max_examples=200)
def test_any_text_is_taken_and_loses_no_line_that_may_be_log(lines: list[str]) -> None:
    found = parse("\n".join(lines))
    if "http" in found.document or "log" in found.document:
        facts_of(found.document)
