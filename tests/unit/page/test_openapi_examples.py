"""What a developer of a client needs of the OpenAPI document: summaries, examples that are right, schemes and error bodies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from rfctl.ingest.openapi import build_document
from rfctl.page.openapi import describe_page

JSON = "application/json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of a daemon with its page."""
    return build_document({}, describe_page("on", has_login=True))


def list_operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def list_contents(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each body: whose it is, its type, and what is said of it."""
    for name, operation in list_operations(document):
        bodies = {
            **operation["responses"],
            **({"body": operation["requestBody"]} if "requestBody" in operation else {}),
        }
        for which, body in bodies.items():
            for kind, content in body.get("content", {}).items():
                yield f"{name} {which}", kind, content


def find_example_fault(document: dict[str, Any], schema: dict[str, Any], example: Any) -> str:
    whole = {**schema, "components": document["components"]}
    return "; ".join(problem.message for problem in OAS31Validator(whole).iter_errors(example))


def test_every_operation_says_what_it_does_and_answers(document: dict[str, Any]) -> None:
    for name, operation in list_operations(document):
        assert operation["summary"].endswith("."), name
        assert any(status < "400" for status in operation["responses"]), name
        assert all(reply["description"] for reply in operation["responses"].values()), name


def test_every_json_body_has_an_example_that_its_shape_allows(document: dict[str, Any]) -> None:
    seen = 0
    for where, kind, content in list_contents(document):
        if kind == JSON or "$ref" in content["schema"]:
            assert "example" in content, where
            assert find_example_fault(document, content["schema"], content["example"]) == "", where
            seen += 1
    assert seen > 100


def test_example_of_another_shape_is_noticed(document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Receipt"}
    assert "addedCount" in find_example_fault(
        document, schema, {"success": True, "duplicates": 0, "batches": []}
    )


def test_every_example_of_a_parameter_is_one(document: dict[str, Any]) -> None:
    for name, operation in list_operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["description"], name
            if "example" in parameter:
                assert find_example_fault(document, parameter["schema"], parameter["example"]) == "", name


def test_every_scheme_that_is_named_is_there(document: dict[str, Any]) -> None:
    named = {
        scheme
        for _, operation in list_operations(document)
        for way in operation.get("security", [])
        for scheme in way
    }
    assert named == set(document["components"]["securitySchemes"])


def test_every_error_has_a_body_that_says_what_is_wrong(document: dict[str, Any]) -> None:
    silent = {"get /webhook/{name} 403"}
    for name, operation in list_operations(document):
        for status, reply in operation["responses"].items():
            if status >= "400" and f"{name} {status}" not in silent:
                example = reply["content"][JSON]["example"]
                assert example.get("error") or example.get("problem"), f"{name} {status}"


def test_every_shape_is_one_that_generators_of_clients_have_a_type_for(document: dict[str, Any]) -> None:
    """They drop an allOf, and take an anyOf beside properties for a union: then the fields are gone."""
    for name, shape in document["components"]["schemas"].items():
        assert not any(word in shape for word in ("allOf", "oneOf")), name
        assert not ("anyOf" in shape and "properties" in shape), name
        assert all("$ref" in each or set(each) == {"type"} for each in shape.get("anyOf", [])), name
