"""The table test × device that closes a run of this folder."""
from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    cells: dict[str, dict[str, str]] = {}
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in terminalreporter.getreports(outcome):
            known = dict(report.user_properties)
            if "device" in known and (report.when == "call" or outcome != "passed"):
                cells.setdefault(known["case"], {})[known["device"]] = {"passed": "oracle" if known["device"] == "interp" else "same bits", "skipped": "skipped"}.get(outcome, "WRONG")
    if not cells:
        return
    devices = sorted({d for row in cells.values() for d in row}, key=lambda d: (d != "interp", d != "cpu", d))
    terminalreporter.section("test × device")
    wide = max(len(c) for c in cells)
    terminalreporter.write_line(" " * wide + "".join(f"  {d:>11}" for d in devices))
    for case, row in cells.items():
        terminalreporter.write_line(f"{case:{wide}}" + "".join(f"  {row.get(d, '-'):>11}" for d in devices))
