from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from rfctl.cli.config import example
from rfctl.connection import mask_url
from rfctl.errors import SettingsError
from rfctl.layers import Environment, load, option, shown_value
from rfctl.settings import options

ROOT = Path(__file__).parents[2]


def environment(tmp_path: Path, **variables: str) -> Environment:
    return Environment({"HOME": str(tmp_path), **variables}, tmp_path / "etc.toml")


def problems(tmp_path: Path, text: str = "", **variables: str) -> list[str]:
    (tmp_path / "etc.toml").write_text(text)
    with pytest.raises(SettingsError) as problem:
        load(environment(tmp_path, **variables))
    return problem.value.problems


def test_the_later_layer_wins_and_what_it_hides_is_known(tmp_path: Path):
    (tmp_path / "etc.toml").write_text("[batching]\n\nquiet_ms = 1000\n")
    user = tmp_path / ".config/rfctl/config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("batching.quiet_ms = 2000\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "http.token").write_text("hush\n")
    loaded = load(
        environment(tmp_path, RFCTL_BATCHING__QUIET_MS="3000", CREDENTIALS_DIRECTORY=str(credentials)),
        flags={"http.port": ("--port", 1)},
    )
    assert loaded.settings.batching.quiet_ms == 3000
    assert loaded.set_by("batching.quiet_ms") == "variable RFCTL_BATCHING__QUIET_MS"
    assert loaded.hides(option("batching.quiet_ms")) == [
        f"2000 ({user}:1)",
        f"1000 ({tmp_path / 'etc.toml'}:3)",
    ]
    assert loaded.set_by("http.port") == "flag --port"
    assert loaded.settings.http.token == "hush"
    assert loaded.set_by("http.token") == "credential http.token"
    assert loaded.set_by("log.level") == "default"


def test_all_problems_are_said_at_once_with_their_places(tmp_path: Path):
    said = problems(
        tmp_path,
        '[batching]\nquit_ms = 5\nmax_size = "many"\n\n[nonsense]\nx = 1\n',
        RFCTL_HTTP__PORT="70000",
        RFCTL_HTPP__HOST="x",
    )
    text = "\n".join(said)
    assert (
        f"batching.quit_ms: there is no such setting; did you mean batching.quiet_ms? ({tmp_path / 'etc.toml'}:2)"
        in said
    )
    assert "batching.max_size" in text
    assert "etc.toml:3" in text
    assert "nonsense.x: there is no such setting" in text
    assert "http.port" in text
    assert "variable RFCTL_HTTP__PORT" in text
    assert "variable RFCTL_HTPP__HOST" in text
    assert len(said) == 5


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"RFCTL_REDIS__URL": "localhost:6379"}, "redis://host:port/db"),
        ({"RFCTL_BATCHING__MAX_WAIT_MS": "10"}, "shorter than quiet_ms"),
        ({"RFCTL_OUTPUT__STREAM": "rfctl:due"}, "rfctl's own"),
        ({"RFCTL_OUTPUT__STREAM": "a{b}"}, "use letters"),
        ({"RFCTL_DAEMON__ROLES": "boss"}, "'all', 'webhook' or 'processor'"),
        ({"RFCTL_BATCHING__ORDER": "random"}, "'arrival' or 'sent'"),
    ],
)
def test_a_wrong_value_is_named_with_its_cure(tmp_path: Path, variables: dict[str, str], says: str):
    assert says in "\n".join(problems(tmp_path, **variables))


def test_a_broken_file_is_named_with_its_line(tmp_path: Path):
    assert "line 2" in problems(tmp_path, "[http]\nport 1\n")[0]


def test_a_file_that_is_asked_for_and_missing_is_an_error(tmp_path: Path):
    with pytest.raises(SettingsError) as problem:
        load(environment(tmp_path), file=tmp_path / "no.toml")
    assert "cannot be read" in problem.value.problems[0]


def test_redis_url_of_the_environment_is_not_used_and_that_is_said(tmp_path: Path):
    loaded = load(environment(tmp_path, REDIS_URL="redis://:pw@elsewhere:6380/0"))
    assert loaded.settings.redis.url == "redis://127.0.0.1:6379/0"
    [notice] = loaded.notices
    assert "REDIS_URL" in notice
    assert "not used" in notice
    assert "pw" not in notice
    assert "127.0.0.1:6379" in notice


def test_secrets_are_masked(tmp_path: Path):
    loaded = load(
        environment(
            tmp_path,
            RFCTL_REDIS__URL="redis://me:hush@h/0",
            RFCTL_HTTP__TOKEN="hush",
            RFCTL_SOURCES__GENERIC__SECRETS='["hush", "hushhush"]',
        )
    )
    assert loaded.settings.sources.generic.secrets == ["hush", "hushhush"]
    for one in options():
        assert "hush" not in str(shown_value(loaded, one))
    assert mask_url("redis://me:hush@h/0") == "redis://me:•••@h/0"


def test_a_file_with_secrets_that_all_can_read_is_said(tmp_path: Path):
    path = tmp_path / "etc.toml"
    path.write_text('[http]\ntoken = "x"\n')
    path.chmod(0o644)
    assert "chmod o-r" in load(environment(tmp_path)).notices[0]
    path.chmod(0o600)
    assert not load(environment(tmp_path)).notices


def test_the_example_is_what_the_code_says_and_loads(tmp_path: Path):
    text = (ROOT / "config.example.toml").read_text()
    assert text == example()
    uncommented = re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", text)
    assert tomllib.loads(uncommented)["batching"]["quiet_ms"] == 5000
    defaults = load(Environment({"HOME": "/nonexistent"}, tmp_path / "x")).settings
    for written in (text, uncommented):
        (tmp_path / "etc.toml").write_text(written)
        assert load(environment(tmp_path)).settings == defaults


def test_every_option_says_what_it_is_for():
    for one in options():
        assert one.about.endswith("."), one.name
