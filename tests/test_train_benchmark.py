"""benchmarks/train.py runs and says what it is asked for; how fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_speed_and_share_of_the_limit_are_told() -> None:
    command = "benchmarks/train.py --sizes tiny --joint --steps 1 --warm 1 --batch-size 8 --precision fp32"
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=True, timeout=300)
    told = json.loads(done.stdout.splitlines()[-1])
    [row] = told["rows"]
    assert row["name"] == "tiny" and row["notes"] > row["passages"] > 0
    assert 0 <= row["padding"] < 1 and 0 <= row["waits"] <= 1
    assert row["share_of_limit"] == pytest.approx(row["flops"] / told["limit_gflops"] / 1e9, abs=1e-3)
    assert row["flops"] > 1e6 and row["memory"] > 100
