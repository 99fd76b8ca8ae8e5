"""What the OpenAPI document says of the page: its shapes are there, and its bodies are taken."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import AsyncMock, Mock

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from rfctl.errors import BadRequestError
from rfctl.ingest.openapi import build_document
from rfctl.ingest.openapi.shapes import build_shapes
from rfctl.page.action_bodies import BODIES
from rfctl.page.actions import Actions
from rfctl.page.openapi import describe_page


def describe(mode: Any = "on", *, has_login: bool = True) -> dict[str, Any]:
    return build_document({}, describe_page(mode, has_login=has_login))


def test_document_with_the_page_is_openapi_and_names_each_operation_once() -> None:
    document = describe()
    validate(document)
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))


def test_page_that_is_off_is_not_described() -> None:
    assert describe("off") == build_document({})
    assert "/page/state" in describe("read-only")["paths"]


def test_login_is_described_where_there_is_a_token() -> None:
    paths = set(describe()["paths"]) - set(describe(has_login=False)["paths"])
    assert paths == {"/page/login", "/page/logout"}


@pytest.mark.parametrize("has_login", [True, False])
def test_every_shape_that_the_page_names_is_there_and_named(has_login: bool) -> None:
    part = describe_page("on", has_login=has_login)
    text = json.dumps(build_document({}, part))
    names = {piece.partition('"')[0] for piece in text.split("#/components/schemas/")[1:]}
    assert names <= {*build_shapes(), *part.shapes}
    assert set(part.shapes) <= names
    assert not set(part.shapes) & set(build_shapes()), "one name, two shapes"


async def test_each_action_is_described_with_the_body_that_it_takes() -> None:
    store: Any = None
    paths = describe()["paths"]
    described = {
        path.rpartition("/")[2]: paths[path]["post"] for path in paths if path.startswith("/page/actions/")
    }
    assert set(described) == set(BODIES)
    with pytest.raises(BadRequestError) as caught:
        await Actions(store, list, list).act("nothing", b"{}")
    assert caught.value.fact.endswith(": " + ", ".join(BODIES))
    for name, operation in described.items():
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert reference.endswith("/" + BODIES[name].__name__)
        with pytest.raises(BadRequestError, match="the body cannot be read"):
            await Actions(store, list, list).act(name, msgspec.json.encode({"nobody": "knows"}))


async def test_answer_of_discard_is_what_is_described() -> None:
    store: Any = Mock()
    store.batches.discard = AsyncMock(
        return_value=[b'{"message":"Hi","receivedAt":1}', b'"of another program"']
    )
    answer = await Actions(store, list, list).act("discard", b'{"batch_key":"7"}')
    replies = describe()["paths"]["/page/actions/discard"]["post"]["responses"]
    name = replies["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    shape = describe_page("on", has_login=True).shapes[name]
    assert list(OAS31Validator(shape).iter_errors(json.loads(msgspec.json.encode(answer)))) == []
    assert set(shape["properties"]) == set(answer)


def test_action_goes_with_the_word_of_the_page_or_the_token() -> None:
    security = describe()["paths"]["/page/actions/hold"]["post"]["security"]
    assert security == [{"adminToken": []}, {"session": [], "pageWord": []}, {"pageWord": []}]
