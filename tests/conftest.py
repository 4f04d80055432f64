"""What holds for every test: in CI a skip is a failure, for there nothing may be missing."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# A busy machine is no fault of an example; how long a whole test may take is the timeout's business.
settings.register_profile("everwake", deadline=None)
settings.load_profile("everwake")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: real processes and real pages are waited for more than computed with."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be missing: {report.longrepr}"
    return report
