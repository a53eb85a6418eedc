"""Starts worker processes, lets them go at once, and collects what they report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).parent / "workers.py"


def run_workers(*commands: Sequence[str], timeout: float = 180.0) -> list[dict[str, Any]]:
    """Run one worker per command, started together once all are ready; return their reports."""
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKERS), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        reports = [worker.communicate(timeout=timeout)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * len(workers)
        return [json.loads(report) for report in reports]
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
