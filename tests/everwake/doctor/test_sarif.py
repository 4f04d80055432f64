"""SARIF 2.1.0 as code hosts take it: the parts that the standard demands, levels, places, and stable fingerprints."""

import json
from typing import Any

import jsonschema

from everwake.doctor import sarif
from everwake.doctor.examination import study

# The demanded parts of OASIS' schema for what we write (sarif-schema-2.1.0, read 2026-11).
SCHEMA = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name", "rules"],
                                "properties": {
                                    "rules": {
                                        "items": {
                                            "required": ["id", "shortDescription"],
                                            "properties": {
                                                "defaultConfiguration": {
                                                    "properties": {
                                                        "level": {"enum": ["none", "note", "warning", "error"]}
                                                    }
                                                }
                                            },
                                        },
                                        "uniqueItems": True,
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "items": {
                            "required": ["message", "ruleId", "ruleIndex", "locations"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {
                                    "required": ["text"],
                                    "properties": {"text": {"type": "string", "minLength": 1}},
                                },
                                "locations": {
                                    "minItems": 1,
                                    "items": {
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation", "region"],
                                                "properties": {
                                                    "region": {
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1},
                                                            "startColumn": {"type": "integer", "minimum": 1},
                                                        }
                                                    }
                                                },
                                            }
                                        }
                                    },
                                },
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                            },
                        }
                    },
                },
            },
        },
    },
}
TEXT = "# mine\nPORT=abc\nREDIS_URL=redis://a-b.upstash.io\nMAIL_API_KEY=your_key_here\n"


def made(text: str = TEXT) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(sarif.document([("conf\\.env", study(text).findings)], "1.2")))
    jsonschema.validate(document, SCHEMA)
    return document


def test_each_finding_is_a_result_with_its_rule_level_and_place() -> None:
    (run,) = made()["runs"]
    told = [(one["ruleId"], one["level"], one["locations"][0]["physicalLocation"]["region"]) for one in run["results"]]
    assert told == [
        ("bad_type", "error", {"startLine": 2, "startColumn": 6}),
        ("tls_required", "error", {"startLine": 3, "startColumn": 11}),
        ("placeholder", "warning", {"startLine": 4, "startColumn": 14}),
    ]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == [one["ruleId"] for one in run["results"]]
    assert {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]} == {
        "conf/.env"
    }


def test_a_healthy_file_is_a_run_without_results() -> None:
    assert made("PORT=8000\n")["runs"][0]["results"] == []


def test_a_fingerprint_stays_when_lines_move() -> None:
    def prints(text: str) -> list[str]:
        return [one["partialFingerprints"]["everwake/v1"] for one in made(text)["runs"][0]["results"]]

    assert prints(TEXT) == prints("\n\n" + TEXT)
    assert len(set(prints(TEXT))) == 3
