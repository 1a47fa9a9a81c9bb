"""What the OpenAPI description promises, asked at random: forms, methods and headers that fit it and that do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("fastapi", reason="the extra web is not installed")
pytest.importorskip("schemathesis", reason="schemathesis is not installed; it is in the extra dev")

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from scoresim.errors import BadInput
from scoresim.score.sandbox import Workers
from scoresim.web.app import make_app


class Picky:
    """A model that refuses every file."""

    name, weights, workers = "picky", "f" * 64, Workers()

    def analyze(self, *files: Path, show: bool = False) -> Any:
        """As the real one."""
        raise BadInput(f"{files[0]} cannot be read: it was made up.")

    def match(self, image: Path, notes: Path) -> Any:
        """As the real one."""
        raise BadInput(f"{image} cannot be read: it was made up.")


APP = make_app(Picky(), hosts=None)
SCHEMA = schemathesis.openapi.from_asgi("/api/openapi.json", APP)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert [path.name for path in APP.state.house.cabinet.open().iterdir()] == [".lock"]
    APP.state.house.cabinet.close()


@SCHEMA.parametrize()
@settings(max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_the_description_holds(case: Any) -> None:
    # that a picture of nothing is refused no schema can say
    case.call_and_validate(excluded_checks=[positive_data_acceptance])
