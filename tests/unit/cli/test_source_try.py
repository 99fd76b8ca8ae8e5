"""`rfctl source try`: what it shows of captured requests, without Redis and without a daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rfctl.cli.app import app
from rfctl.errors import NothingFoundError, SettingsError, UsageError
from rfctl.sources.registry import SPECS
from tests.support.recorded import FOLDER, Case, cases
from tests.support.signed_requests import encode, sign

SETTINGS = """\
[redis]
url = "redis://127.0.0.1:1/0"
[sources.shop]
type = "generic"
secrets = ["hush"]
auth = "hmac-sha256"
auth_header = "X-Sign"
quiet_ms = 3000
answer = "ok"
challenge = "challenge"
companies = { "1001" = 7 }
verify_token = "word"
[sources.shop.map]
each = "messages"
phone = "from"
text = "text"
id = "id"
account = "to"
own_if = "fromMe"
[sources.salon]
type = "generic"
[rules.stop]
words = ["stop"]
action = "discard_batch"
[rules.spam]
words = ["spam"]
action = "drop"
"""
HELLO = b'{"messages": [{"from": "+7 900 1", "text": "Hello", "id": "m1", "to": "1001"}]}'


def try_source(tmp_path: Path, body: bytes, *line: str, name: str = "shop", output: str = "json") -> Result:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    file.chmod(0o600)
    return CliRunner().invoke(
        app, ["-o", output, "--config", str(file), "source", "try", name, *line], input=body
    )


def read_trial(tmp_path: Path, body: bytes, *line: str, name: str = "shop") -> Any:
    result = try_source(tmp_path, body, *line, name=name)
    [trial] = json.loads(result.stdout)["requests"]
    return {**trial, "status": result.exit_code}


def test_message_is_shown_with_all_that_is_decided_about_it(tmp_path: Path) -> None:
    trial = read_trial(tmp_path, HELLO)
    [message] = trial["messages"]
    assert (message["phone"], message["text"], message["company"], message["account"]) == (
        "79001", "Hello", 7, "1001",
    )  # fmt: skip
    assert message["batch_key"].startswith("&")  # companies depend on accounts
    assert message["rules"] == [{"name": "source shop", "quiet_ms": 3000}]
    assert (message["quiet_ms"], message["due_in_ms"]) == (3000, 3000)
    assert trial["proof"] == {"holds": None, "why": None}
    assert (trial["answer"], trial["status"]) == ({"status": 200, "body": "ok"}, 0)


@pytest.mark.parametrize(
    ("text", "action", "due_in_ms"), [("Stop!", "discard_batch", 0), ("spam", "drop", None)]
)
def test_rule_that_a_message_meets_is_named_with_what_it_does(
    tmp_path: Path, text: str, action: str, due_in_ms: int | None
) -> None:
    [message] = read_trial(tmp_path, HELLO.replace(b"Hello", text.encode()))["messages"]
    assert message["rules"][0] == {"name": "stop" if action == "discard_batch" else "spam", "action": action}
    assert (message["action"], message["due_in_ms"]) == (action, due_in_ms)


def test_what_is_no_message_is_shown_with_its_kind_and_what_is_wrong_with_its_reason(tmp_path: Path) -> None:
    body = b'{"messages": [{"from": "1", "fromMe": true}, {"from": [1], "text": "x", "id": "2"}, {"from": "3", "id": "3"}]}'
    trial = read_trial(tmp_path, body)
    assert trial["skipped"] == {"own": 1}
    assert [part["why"] for part in trial["unparsed"]] == [
        "message 1: the phone is of type list, not a string or a number",
        "message 2: neither text nor media",
    ]
    assert json.loads(trial["unparsed"][0]["body"])["messages"] == [{"from": [1], "text": "x", "id": "2"}]
    assert trial["status"] == 1


def test_nothing_that_comes_out_is_exit_status_1(tmp_path: Path) -> None:
    trial = read_trial(tmp_path, b'{"messages": [{"from": "1", "fromMe": true}]}')
    assert (trial["unparsed"], trial["status"]) == ([], 1)
    assert read_trial(tmp_path, b'{"event": "ack"}')["skipped"] == {"event:no_list": 1}


def test_proof_is_tried_with_headers_and_says_which_part_failed(tmp_path: Path) -> None:
    right = f"X-Sign: {encode(sign('hush', HELLO))}"
    assert read_trial(tmp_path, HELLO, "-H", right)["proof"] == {"holds": True, "why": None}
    missing = read_trial(tmp_path, HELLO, "-H", "X-Other: 1")
    assert missing["proof"] == {"holds": False, "why": "it does not have the header X-Sign"}
    wrong = read_trial(tmp_path, HELLO, "-H", f"X-Sign: {encode(sign('other', HELLO))}")
    assert wrong["proof"]["why"] == "no secret gives the signature in the header X-Sign"
    assert (wrong["answer"]["status"], wrong["status"], len(wrong["messages"])) == (401, 1, 1)


def test_whole_request_is_read_as_it_was_sent(tmp_path: Path) -> None:
    head = f"POST /webhook/shop HTTP/1.1\r\nX-Sign: {sign('hush', HELLO).hex()}\r\nContent-Length: {len(HELLO)}\r\n\r\n"
    file = tmp_path / "request.http"
    file.write_bytes(head.encode() + HELLO + b"\n")  # an editor ends a file with a line end
    trial = read_trial(tmp_path, b"", str(file))
    assert (trial["proof"]["holds"], trial["status"]) == (True, 0)
    headers = tmp_path / "headers.txt"
    headers.write_bytes(head.encode())
    assert read_trial(tmp_path, HELLO, "--headers", str(headers))["proof"]["holds"]


def test_handshakes_are_answered(tmp_path: Path) -> None:
    trial = read_trial(tmp_path, b'{"challenge": "abc"}')
    assert (trial["answer"]["body"], trial["handshake"], trial["status"]) == ("abc", True, 0)
    line = "GET /webhook/shop?hub.mode=subscribe&hub.verify_token={}&hub.challenge=77 HTTP/1.1\n\n"
    assert read_trial(tmp_path, line.format("word").encode())["answer"] == {"status": 200, "body": "77"}
    wrong = read_trial(tmp_path, line.format("sword").encode())
    assert (wrong["answer"]["status"], wrong["status"]) == (403, 1)


def test_lines_are_a_request_each(tmp_path: Path) -> None:
    body = HELLO + b"\n\n" + HELLO.replace(b"Hello", b"again") + b"\n{broken\n"
    result = try_source(tmp_path, body)
    requests = json.loads(result.stdout)["requests"]
    assert [request["line"] for request in requests] == [1, 3, 4]
    assert [len(request["messages"]) for request in requests] == [1, 1, 0]
    shown = try_source(tmp_path, body, output="table").stdout
    assert "request 2 of 3, line 3" in shown
    assert "2 messages, 0 skipped, 0 unread, 1 unparsed. Nothing was stored." in shown


def test_generic_form_is_answered_with_its_receipt_or_what_is_wrong(tmp_path: Path) -> None:
    trial = read_trial(tmp_path, b'{"from": "1", "message": "hi"}', name="salon")
    assert json.loads(trial["answer"]["body"])["addedCount"] == 1
    wrong = read_trial(tmp_path, b'{"message": "hi"}', name="salon")
    assert (wrong["answer"]["status"], wrong["status"]) == (400, 1)
    assert wrong["rejected"] in wrong["answer"]["body"]


def test_hostile_text_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    body = HELLO.replace(b"Hello", b"\\u001b[2J[bold]\\u202e")
    shown = try_source(tmp_path, body, output="table").stdout
    assert "\x1b" not in shown
    assert "[bold]" in shown


def test_source_that_is_not_there_is_named_and_a_preset_stands_in_for_it(tmp_path: Path) -> None:
    problem = try_source(tmp_path, HELLO, name="shopp").exception
    assert isinstance(problem, NothingFoundError)
    assert "did you mean shop" in problem.fact
    body = json.dumps(
        json.loads((FOLDER / "presets/zapi/bodies.json").read_bytes())["bodies"][0]["body"]
    ).encode()
    assert len(read_trial(tmp_path, body, "--preset", "zapi", name="new")["messages"]) == 1
    problem = try_source(tmp_path, body, "--preset", "zapy", name="new").exception
    assert isinstance(problem, SettingsError)
    assert "did you mean zapi" in problem.problems[0]


@pytest.mark.parametrize(
    ("body", "line", "fact"),
    [
        (b"  \n", [], "there is no body"),
        (HELLO, ["-H", "no header"], "'no header' is no header"),
        (HELLO, ["/nowhere/at/all"], "/nowhere/at/all cannot be read"),
        (b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\n\n", [], "in chunks"),
    ],
)
def test_what_cannot_be_tried_is_said(tmp_path: Path, body: bytes, line: list[str], fact: str) -> None:
    problem = try_source(tmp_path, body, *line).exception
    assert isinstance(problem, UsageError)
    assert fact in problem.fact
    assert problem.next


@pytest.mark.parametrize("kind", ["telegram", "twilio", "waha", "whatsapp-cloud"])
def test_recorded_requests_come_out_as_their_source_reads_them(tmp_path: Path, kind: str) -> None:
    settings = {"twilio": 'public_url = "https://bot.example.com"\n'}
    file = tmp_path / "recorded.toml"
    file.write_text(f'[sources.here]\ntype = "{kind}"\n{settings.get(kind, "")}')
    assert kind in SPECS
    for case in cases(kind):
        _check_case(tmp_path, file, case)


def _check_case(tmp_path: Path, settings: Path, case: Case) -> None:
    file = tmp_path / "body"
    file.write_bytes(case.body)
    done = CliRunner().invoke(
        app, ["-o", "json", "--config", str(settings), "source", "try", "here", str(file)]
    )
    [trial] = json.loads(done.stdout)["requests"]
    wanted = case.expected
    skipped = {**trial["skipped"], **({"unread": trial["unread"]} if trial["unread"] else {})}
    assert (len(trial["messages"]), skipped, len(trial["unparsed"])) == (
        len(wanted["messages"]), wanted["skipped"], wanted["unparsed"],
    ), case.name  # fmt: skip
