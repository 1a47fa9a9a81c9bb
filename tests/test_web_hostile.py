"""Two hundred damaged files, and a good one after each hundred: benchmarks/hostile.py with fewer of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("fastapi", reason="the extra web is not installed")

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_damaged_files_cost_nobody_else(weights: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "hostile.py", "--model", weights, "--n", "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=230)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert done.returncode == 0, done.stderr
    assert found["answered"] > 5 and found["refused"] > 50
    assert "Traceback" not in done.stderr
