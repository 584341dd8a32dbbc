"""Every answer to any request is one that the OpenAPI document describes."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from photosieve.data.dataset import Dataset
from photosieve.index.index import Index
from photosieve.server.app import create_app
from photosieve.server.guard import LIMITS, Rules
from photosieve.server.library import Library
from photosieve.sieve.sieve import Sieve
from tests.conftest import QUICK, FakeEncoder, write_building

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)

LEFT_OUT = {"/train", "/metrics"}
"""Starts a process; is no JSON."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    folder = tmp_path_factory.mktemp("api")
    write_building(folder / "photos" / "house-1", "train_labels.json", seed=1)
    write_building(folder / "photos" / "house-2", "test_labels.json", seed=2)
    dataset = Dataset.load(folder / "photos" / "house-1")
    Sieve.fit(dataset, FakeEncoder(), recipe=QUICK).save(folder / "sieve")
    Index(folder / "index").update(folder / "sieve", folder / "photos")
    rules = Rules(limits=dict.fromkeys(LIMITS, LIMITS["all"]))
    app = create_app(Library(folder / "sieve", str(folder / "index")), rules)
    yield schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "127.0.0.1"})
    app.state.service.jobs.close()


def test_every_answer_is_as_described(api: BaseSchema) -> None:
    asked = []
    for result in api.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if operation.path in LEFT_OUT:
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=20,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(checks=list(CHECKS), headers={"Host": "127.0.0.1"})

        check()
        asked.append(operation.path)
    assert {"/search", "/labels", "/photos/{photo_id}", "/jobs/{job_id}"} <= set(asked)
