"""Requests made up from the OpenAPI document: whatever it allows is answered as it says, and never with a fault."""

import warnings

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from crm_core.db import write_session
from crm_core.models import CustomField
from crm_core.services import crud
from crm_core.services.admin import api_key_rules, api_keys
from crm_core.settings import settings as machine
from crm_core.vocabulary import FieldKind
from tests.web.conftest import APP
from web.api import pace

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KINDS = ("Deals", "General")
"""Tags whose operations get more examples, and the wrong ones: together they hold every shape there is."""


@pytest.fixture
def document(cast, monkeypatch):
    """The document of a workspace with a record of each kind and a field of its own, and the header of an administrator's key."""
    monkeypatch.setenv("RAPPORT_API_PER_MINUTE", "100000")
    machine.cache_clear()
    pace.COUNTER.clear()
    root = cast["root"]
    with write_session() as session:
        session.add(CustomField(entity="deal", key="x_floor", label="Floor", kind=FieldKind.INTEGER))
        for key in ("account", "contact", "lead", "deal", "product", "campaign"):
            crud.create(session, root, key, {"name": "Ada"})
        for key in ("ticket", "task"):
            crud.create(session, root, key, {"subject": "Ada"})
        crud.create(session, root, "order", {"number": "1"})
        _, key = api_keys.create(session, root, name="Robot", scopes=api_key_rules.SCOPES)
    header = {"Authorization": f"Bearer {key}"}
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", APP, headers=header), header


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "wrong"])
def test_made_up_requests_are_answered_as_the_document_says(document, mode):
    schema, header = document
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        chosen = bool(set(operation.tags or ()) & set(KINDS))
        if mode is GenerationMode.NEGATIVE and not chosen:
            continue  # the other kinds have the same routes over other fields
        many = 2 if chosen else 1

        @settings(
            max_examples=many, derandomize=True, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            nonlocal asked
            asked += 1
            if mode is GenerationMode.POSITIVE and "record_id" in (case.path_parameters or {}):
                case.path_parameters["record_id"] = 1  # otherwise nearly everything is 404
            case.validate_response(case.call(headers=header), checks=CHECKS)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ask()
            except Exception as error:
                if type(error).__name__ not in ("Unsatisfiable", "InvalidArgument", "SkipTest", "Skipped"):
                    raise
    assert asked > 20
