"""Findings as SARIF 2.1.0, which code hosts show in a review (OASIS, sarif-v2.1.0). Pure; no value is in it, masked or not."""

import hashlib
from collections.abc import Iterable
from typing import Any

from everwake.doctor.examination import Finding
from everwake.doctor.problems import PROBLEMS, meaning

__all__ = ["document"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def document(files: Iterable[tuple[str, Iterable[Finding]]], version: str) -> dict[str, Any]:
    """One run over all files. files: (path as it was given, its findings); version: ours."""
    results = [_result(path, finding) for path, findings in files for finding in findings]
    named = sorted({result["ruleId"] for result in results})
    rules = [
        {
            "id": name, "shortDescription": {"text": meaning(name)},
            "defaultConfiguration": {"level": "error" if PROBLEMS[name][0] else "warning"},
        }
        for name in named
    ]  # fmt: skip
    for result in results:
        result["ruleIndex"] = named.index(result["ruleId"])
    driver = {"name": "everwake doctor", "version": version, "rules": rules}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(path: str, finding: Finding) -> dict[str, Any]:
    problem = finding.problem
    region = {"startLine": problem.line or 1}
    if finding.file_column is not None:
        region["startColumn"] = finding.file_column
    name = f"{path}\0{finding.name}\0{problem.problem}"
    return {
        "ruleId": problem.problem,
        "level": "error" if problem.is_error else "warning",
        "message": {"text": f"{problem.key}: {meaning(problem.problem)}. {problem.fix[:1].upper()}{problem.fix[1:]}."},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": path.replace("\\", "/")}, "region": region}}],
        "partialFingerprints": {"everwake/v1": hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()},
    }
