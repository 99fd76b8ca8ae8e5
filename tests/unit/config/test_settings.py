from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from rfctl.assembly.batching import build_policy
from rfctl.assembly.sinks import build_target
from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.config.options import configured_options, find_option, list_options, value_of
from rfctl.config.rules import TYPES
from rfctl.errors import CommandLineError, SettingsError
from rfctl.sinks import PluginSinkConfig
from rfctl.sources.evolution import schema as evolution_content
from rfctl.sources.telegram import schema as telegram_update
from rfctl.text import mask_url


def environment(tmp_path: Path, **variables: str) -> Environment:
    return Environment({"HOME": str(tmp_path), **variables}, tmp_path / "etc.toml")


def problems(tmp_path: Path, text: str = "", **variables: str) -> list[str]:
    (tmp_path / "etc.toml").write_text(text)
    with pytest.raises(SettingsError) as problem:
        load(environment(tmp_path, **variables))
    return problem.value.problems


def loaded(tmp_path: Path, text: str = "", **variables: str) -> Configuration:
    (tmp_path / "etc.toml").write_text(text)
    return load(environment(tmp_path, **variables))


def credentials(tmp_path: Path, **secrets: str) -> str:
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name, secret in secrets.items():
        (folder / name).write_text(secret)
    return str(folder)


def test_later_layer_wins_and_lists_its_overrides(tmp_path: Path) -> None:
    (tmp_path / "etc.toml").write_text("[batching]\n\nquiet_ms = 1000\n")
    user = tmp_path / ".config/rfctl/config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("batching.quiet_ms = 2000\n")
    folder = credentials(tmp_path, **{"http.admin_token": "hush\n"})
    loaded = load(
        environment(tmp_path, RFCTL_BATCHING__QUIET_MS="3000", CREDENTIALS_DIRECTORY=folder),
        flags={"http.port": ("--port", 1)},
    )
    assert loaded.settings.batching.quiet_ms == 3000
    assert loaded.set_by("batching.quiet_ms") == "variable RFCTL_BATCHING__QUIET_MS"
    assert loaded.overrides(find_option("batching.quiet_ms")) == [
        f"2000 ({user}:1)",
        f"1000 ({tmp_path / 'etc.toml'}:3)",
    ]
    assert loaded.set_by("http.port") == "flag --port"
    assert loaded.settings.http.admin_token == "hush"
    assert loaded.set_by("http.admin_token") == "credential http.admin_token"
    assert loaded.set_by("log.level") == "default"


def test_all_problems_are_reported_together_with_their_places(tmp_path: Path) -> None:
    lines = problems(
        tmp_path,
        '[batching]\nquit_ms = 5\nmax_size = "many"\n\n[nonsense]\nx = 1\n',
        RFCTL_HTTP__PORT="70000",
        RFCTL_HTPP__HOST="x",
    )
    text = "\n".join(lines)
    assert (
        f"batching.quit_ms: there is no such setting; did you mean batching.quiet_ms? ({tmp_path / 'etc.toml'}:2)"
        in lines
    )
    assert "batching.max_size" in text
    assert "etc.toml:3" in text
    assert "nonsense.x: there is no such setting" in text
    assert "http.port" in text
    assert "variable RFCTL_HTTP__PORT" in text
    assert "variable RFCTL_HTPP__HOST" in text
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"RFCTL_REDIS__URL": "localhost:6379"}, "redis://host:port/db"),
        ({"RFCTL_BATCHING__MAX_WAIT_MS": "10"}, "shorter than quiet_ms"),
        ({"RFCTL_OUTPUT__STREAM": "rfctl:due"}, "rfctl's own"),
        ({"RFCTL_OUTPUT__STREAM": "a{b}"}, "use letters"),
        ({"RFCTL_DAEMON__ROLE": "boss"}, "'all', 'webhook', 'processor' or 'forwarder'"),
        ({"RFCTL_SOURCES__GENERIC__SECRETS": '["a", "b'}, "begins like a list in JSON"),
        ({"RFCTL_SINKS__X__HEADERS": "a=b", "RFCTL_SINKS__X__TYPE": "http"}, "as JSON"),
        ({"RFCTL_BATCHING__ORDER": "random"}, "'arrival' or 'sent'"),
    ],
)
def test_a_wrong_value_is_named_with_its_cure(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    assert says in "\n".join(problems(tmp_path, **variables))


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in problems(tmp_path, "[http]\nport 1\n")[0]


def test_missing_chosen_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as problem:
        load(environment(tmp_path), file=tmp_path / "no.toml")
    assert "cannot be read" in problem.value.problems[0]


@pytest.mark.parametrize(
    ("content", "says", "leads_to"),
    [
        (None, "cannot be read: Is a directory", "check the path"),
        (b"\n[http]\n# \xff", "is not UTF-8 (line 3)", "man rfctl.toml"),
        (b"x", "is not TOML", "man rfctl.toml"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_wrong_setting_that_names_it(
    tmp_path: Path, content: bytes | None, says: str, leads_to: str
) -> None:
    file = tmp_path / "chosen.toml"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(SettingsError) as problem:
        load(environment(tmp_path), file=file)
    [line] = problem.value.problems
    assert line.startswith(f"{file}: {says}")
    assert leads_to in problem.value.next
    assert problem.value.exit_status == 78


def test_a_credential_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = Path(credentials(tmp_path, **{"http.admin_token": ""}))
    (folder / "http.admin_token").write_bytes(b"\xff")
    [line] = problems(tmp_path, CREDENTIALS_DIRECTORY=str(folder))
    assert line.startswith(f"{folder / 'http.admin_token'}: is not UTF-8")


def test_a_wrong_value_is_the_command_lines_fault_only_if_nobody_else_is_wrong(tmp_path: Path) -> None:
    flags = {"http.port": ("--port", 99_999)}
    with pytest.raises(CommandLineError, match="1 command-line option is wrong") as problem:
        load(environment(tmp_path), flags=flags)
    assert problem.value.exit_status == 2
    assert "flag --port" in problem.value.problems[0]
    with pytest.raises(SettingsError, match="2 settings are wrong") as both:
        load(environment(tmp_path, RFCTL_BATCHING__MAX_SIZE="0"), flags=flags)
    assert both.value.exit_status == 78


def test_overridden_wrong_value_is_no_error(tmp_path: Path) -> None:
    configuration = load(environment(tmp_path, RFCTL_HTTP__PORT="99999"), flags={"http.port": ("--port", 1)})
    assert configuration.settings.http.port == 1


def test_redis_url_of_the_environment_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    loaded = load(environment(tmp_path, REDIS_URL="redis://:pw@elsewhere:6380/0"))
    assert loaded.settings.redis.url == "redis://127.0.0.1:6379/0"
    [notice] = loaded.notices
    assert "REDIS_URL" in notice
    assert "not used" in notice
    assert "pw" not in notice
    assert "127.0.0.1:6379" in notice


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ('[redis]\nurl = "redis://me:hush@h/0"\n[http]\nadmin_token = "hush"\n', {}),
        ('[sources.salon]\ntype = "whatsapp-cloud"\nsecrets = ["hush"]\nverify_token = "hush"\n', {}),
        ('[sinks.crm]\ntype = "http"\nurl = "https://h/?token=hush"\nheaders = { x = "hush" }\n', {}),
        (
            '[sinks.crm]\ntype = "http"\nurl = "https://h"\nsecrets = "whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNo"\n',
            {},
        ),
        ('[sinks.t]\ntype = "celery"\ntask = "t"\nurl = "amqp://a:hush@h//;amqp://b:hush@i//"\n', {}),
        ("", {"RFCTL_SOURCES__GENERIC__SECRETS": '["hush", "hushhush"]'}),
    ],
)
def test_secrets_are_masked_wherever_they_were_set(
    tmp_path: Path, text: str, variables: dict[str, str]
) -> None:
    configuration = loaded(tmp_path, text, **variables)
    values = [configuration.value_to_show(option) for option in configured_options(configuration.settings)]
    assert "•••" in str(values)
    assert not [word for word in ("hush", "aHVz") if word in str(values)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:hush@h:1/0", "redis://me:•••@h:1/0"),
        ("redis://:hu;sh@h/0", "redis://:•••@h/0"),
        ("redis://:hu/sh@h", "redis://:•••@h"),
        ("redis://h:6379/0?protocol=2", "redis://h:6379/0?protocol=2"),
        ("unix:///run/x.sock?db=1&password=hush", "unix:///run/x.sock?db=1&password=•••"),
        ("unix://me:hush@/run/x.sock", "unix://me:•••@/run/x.sock"),
        ("amqp://a:hush@h//;amqp://b:hush@i//", "amqp://a:•••@h//;amqp://b:•••@i//"),
        (
            "https://h/in?Access_Token=hush&to=7&api_key=hush",
            "https://h/in?Access_Token=•••&to=7&api_key=•••",
        ),
        ("https://h/?pass%77ord=hush&keyboard=1", "https://h/?pass%77ord=•••&keyboard=1"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_world_readable_file_with_secrets_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "etc.toml"
    path.write_text('[http]\nadmin_token = "x"\n')
    path.chmod(0o644)
    assert "chmod o-r" in load(environment(tmp_path)).notices[0]
    path.chmod(0o600)
    assert not load(environment(tmp_path)).notices


def test_every_option_says_what_it_is_for() -> None:
    for option in list_options():
        assert option.about.endswith("."), option.name


# --- sections that the operator names


@pytest.fixture
def shout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers a sink of type shout; the sink is what it was called with."""
    module = ModuleType("my_sink")
    module.Shout = lambda config: config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_sink", module)
    point = EntryPoint("shout", "my_sink:Shout", "rfctl.sinks")
    monkeypatch.setattr(
        "rfctl.sinks.registry.entry_points",
        lambda group, name="shout": [point] if (group, name) == ("rfctl.sinks", "shout") else [],
    )


SALON = '[sources.salon]\ntype = "telegram"\n'


def test_a_named_section_may_be_spread_over_all_layers(tmp_path: Path) -> None:
    folder = credentials(
        tmp_path, **{"sources.salon.secrets": "new\nold\n", "sinks.crm.headers": '{"x": "1"}'}
    )
    configuration = loaded(
        tmp_path,
        SALON
        + 'company = 962302\n\n[sinks.crm]\ntype = "http"\nurl = "https://h"\nretry_delays_ms = [1, 2]\n',
        CREDENTIALS_DIRECTORY=folder,
        RFCTL_SOURCES__SALON__QUIET_MS="4000",
        RFCTL_SINKS__CRM__RETRY_DELAYS_MS="5000,300000",
        RFCTL_SOURCES__SHOP__TYPE="generic",
        RFCTL_SOURCES__SHOP__MAP='{"phone": "from", "text": "text"}',
    )
    values = {
        option.name: value_of(configuration.settings, option.name)
        for option in configured_options(configuration.settings)
    }
    assert values["sources.salon.secrets"] == ["new", "old"]
    assert (values["sources.salon.company"], values["sources.salon.quiet_ms"]) == (962302, 4000)
    assert values["sinks.crm.headers"] == {"x": "1"}
    assert values["sinks.crm.retry_delays_ms"] == [5000, 300_000]
    assert values["sources.shop.map"] == {"phone": "from", "text": "text"}
    assert configuration.set_by("sources.salon.secrets") == "credential sources.salon.secrets"
    assert configuration.set_by("sources.salon.company") == f"{tmp_path / 'etc.toml'}:3"
    assert configuration.set_by("sinks.crm.retry_delays_ms") == "variable RFCTL_SINKS__CRM__RETRY_DELAYS_MS"
    assert configuration.overrides(find_option("sinks.crm.retry_delays_ms")) == [
        f"[1, 2] ({tmp_path / 'etc.toml'}:8)"
    ]


def test_a_variable_reaches_a_section_whose_name_has_a_minus(tmp_path: Path) -> None:
    text = '[sources.my-salon]\ntype = "telegram"\n'
    configuration = loaded(tmp_path, text, RFCTL_SOURCES__MY_SALON__SECRETS="hush")
    assert configuration.settings.sources["my-salon"].secrets == ["hush"]
    assert find_option("sources.my-salon.secrets").variable == "RFCTL_SOURCES__MY_SALON__SECRETS"
    assert configuration.set_by("sources.my-salon.type").endswith("etc.toml:2")


def test_rules_are_asked_in_the_order_in_which_they_stand(tmp_path: Path) -> None:
    text = (
        '[rules.z]\nwords = "a"\naction = "send_batch"\n[rules.a]\nwords = "a"\naction = "send_alone"\n'
        + SALON
    )
    configuration = loaded(tmp_path, text + "quiet_ms = 1\n", RFCTL_RULES__Z__QUIET_MS="7")
    assert [rule.name for rule in build_policy(configuration.settings).rules] == ["z", "a", "source salon"]


def test_a_generic_source_of_that_name_needs_no_type(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[sources.generic]\n").settings.sources["generic"].type == "generic"


def test_a_pattern_may_have_commas(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, '[rules.x]\npatterns = "a{1,2}"\naction = "send_batch"\n')
    assert configuration.settings.rules["x"].patterns == ["a{1,2}"]


RULE = '[rules.x]\naction = "send_batch"\n'
HTTP = '[sinks.crm]\ntype = "http"\n'


@pytest.mark.parametrize(
    "text",
    [
        RULE + 'sources = ["generic"]\n',
        SALON + RULE + 'sources = ["salon"]\n',
        RULE + 'types = ["live_location", "video_note", "invoice", "nfm_reply", "ptt"]\n',
        RULE + f"types = {list(TYPES)}\n",
        HTTP + 'url = "https://10.example.com/"\n',
        HTTP + 'url = "https://1.1.1.1/"\n',
        HTTP + 'url = "http://127.0.0.1/"\nallow_private = true\n',
        '[sinks.q]\ntype = "celery"\ntask = "t"\nurl = "redis://127.0.0.1/1"\n',
    ],
)
def test_possible_values_are_accepted(tmp_path: Path, text: str) -> None:
    configuration = loaded(tmp_path, text).settings
    assert configuration.rules or configuration.sinks


def test_a_sink_of_another_package_gets_its_settings_as_they_are(tmp_path: Path, shout: None) -> None:
    text = (
        '[sinks.x]\ntype = "shout"\ntimeout_ms = 700\nconnect_timeout_ms = 600\noptions = { word = "hush" }\n'
    )
    configuration = loaded(tmp_path, text)
    config = configuration.settings.sinks["x"]
    built: object = build_target("x", config, redis_url="redis://h/0").sink
    assert built == PluginSinkConfig("x", "shout", 700, 600, {"word": "hush"})
    rows = {option.name for option in configured_options(configuration.settings)}
    assert {"sinks.x.options", "sinks.x.connect_timeout_ms"} <= rows
    assert "sinks.x.queue" not in rows
    assert "hush" not in str(configuration.value_to_show(find_option("sinks.x.options")))


def test_a_setting_that_a_sink_of_another_package_does_not_read_is_refused(
    tmp_path: Path, shout: None
) -> None:
    [line] = problems(tmp_path, '[sinks.x]\ntype = "shout"\nqueue = "q"\n')
    assert line.startswith("sinks.x.queue: is not for type shout, but for bullmq, celery, rq (")


def test_every_type_that_a_source_gives_is_known() -> None:
    types = {*telegram_update.TYPES.values(), *evolution_content.TYPES.values()} - {"protocol"}
    assert {*types, "edit", "deletion", "system"} <= set(TYPES)


def test_the_space_at_the_end_of_a_prefix_counts_wherever_it_was_set(tmp_path: Path) -> None:
    for text, variables in (
        ('prefixes = ["go "]\n', {}),
        ('prefixes = "go "\n', {}),
        ("", {"RFCTL_RULES__X__PREFIXES": "/, go ,!"}),
        ("", {"RFCTL_RULES__X__PREFIXES": '["go "]'}),
    ):
        [rule] = build_policy(loaded(tmp_path, RULE + text, **variables).settings).rules
        assert "go " in rule.prefixes


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("[sources.salon]\n", "sources.salon.type: is missing", 1),
        ('[sources.salon]\nquiet_ms = "x"\n', "sources.salon.quiet_ms: input should be a valid integer", 2),
        ('[sources.s]\ntype = "sms"\n', "there is no source sms; there is whatsapp-cloud, twilio, ", 2),
        ("[sources.s]\ntype = 5\n", "sources.s.type: write a text, in quotes", 2),
        ('[sinks.s]\ntype = "kafka"\n', "there is no sink kafka; there is list, stream, http, ", 2),
        (
            '[sources.s]\ntype = "twilio"\n',
            "public_url: is missing: Twilio signs the address that it calls",
            1,
        ),
        (
            '[sources.s]\ntype = "twilio"\npublic_url = "https://h/x"\n',
            "sources.s.public_url: write scheme and host alone, https://bot.example.com",
            3,
        ),
        (
            '[sources.s]\ntype = "generic"\nmap = { phone = "a..b", who = "x" }\n',
            "sources.s.map: `phone`: `a..b` is no path: names and list indexes between dots",
            3,
        ),
        ('[sources.s]\ntype = "generic"\nmap = { text = "x" }\n', "sources.s.map: `phone` is missing", 3),
        ('[sinks.b]\ntype = "bullmq"\n', "sinks.b.queue: is missing: a sink of type bullmq needs it", 1),
        ('[sinks.b]\ntype = "rq"\n', "sinks.b.task: is missing: a sink of type rq needs it", 1),
        ('[sinks.b]\ntype = "list"\n', "sinks.b.key: is missing: a sink of type list needs it", 1),
        ('[sinks.b]\ntype = "command"\n', "sinks.b.command: is missing: a sink of type command needs it", 1),
        (
            '[sinks.b]\ntype = "list"\nkey = "rfctl:x"\n',
            "rfctl:x could be a key of rfctl's own; use a name",
            3,
        ),
        (HTTP + 'url = ""\n', "sinks.crm.url: is missing: a sink of type http needs it", 3),
        (HTTP + 'url = "ftp://h"\n', "sinks.crm.url: it must be http://… or https://… with a host", 3),
        (
            HTTP + 'url = "https://h"\nsecrets = "x"\n',
            "sinks.crm.secrets: number 1 must start with whsec_",
            4,
        ),
        (HTTP + 'url = "https://h"\nheaders = { "X A" = "x" }\n', "sinks.crm.headers: X A cannot be sent", 4),
        (
            HTTP + 'url = "https://h"\noptions = { x = 1 }\n',
            "sinks.crm.options: is not for type http, but for types of other packages",
            4,
        ),
        (
            '[sinks.o]\ntype = "stdout"\nconnect_timeout_ms = 1000\n',
            "is not for type stdout, but for http, ",
            3,
        ),
        ("[sinks.crm]\n", "sinks.crm.type: is missing", 1),
        ('\n[sources.salon]\nsecrets = ["x"]\n', "sources.salon.type: is missing", 2),
        ('[sources.salon]\ntype = "telegramm"\n', "did you mean telegram?", 2),
        ('[sinks.bot]\ntype = "bulmq"\n', "there is no sink bulmq; did you mean bullmq?", 2),
        (SALON + 'verify_token = "x"\n', "sources.salon.verify_token: is not for type telegram, but for", 3),
        (
            '[sinks.q]\ntype = "list"\nkey = "k"\n\njob_name = "x"\n',
            "sinks.q.job_name: is not for type list, but for bullmq",
            5,
        ),
        ('[sinks.crm]\ntype = "http"\n', "sinks.crm.url: is missing: a sink of type http needs it", 1),
        (SALON + "quit_ms = 1\n", "there is no such setting; did you mean sources.salon.quiet_ms?", 3),
        ('[source.salon]\ntype = "telegram"\n', "did you mean [sources]?", 1),
        ('[sources.Salon]\ntype = "telegram"\n', "sources.Salon: a name is lower-case letters", 1),
        ('[sinks.a__b]\ntype = "stdout"\n', "sinks.a__b: a name is lower-case letters", 1),
        ('[sinks."a.b"]\ntype = "stdout"\n', "sinks.a.b: a name is lower-case letters", 1),
        ("sources = 5\n", "sources have names: write sections, [sources.NAME]", 1),
        ('[sources]\nsecrets = ["x"]\n', "sources have names: write sections, [sources.NAME]", 2),
        ('[sources.s]\ntype = "generic"\n[sources.s.map]\nphone = 5\n', "s.map: `phone`: `5` is no path", 3),
        ('[sources.s]\ntype = "generic"\nmap = "x"\n', "sources.s.map: write a table", 3),
        ('[sources.generic]\nanswer = "ok"\n', "sources.generic.answer: is for a source with a map", 2),
        ("[sources.generic]\nauth = 5\n", "sources.generic.auth: write a word, or a table", 2),
        (
            '[sources.generic]\n[sources.generic.auth]\ntype = "jwt"\nleeway_s = -1\n',
            "auth.leeway_s: input should be",
            2,
        ),
        (RULE + 'patterns = ["a", "("]\n', "rules.x.patterns: ( is no expression of RE2: missing ): (", 3),
        (RULE + 'patterns = "(?!a)b"\n', "rules.x.patterns: (?!a)b is no expression of RE2: invalid", 3),
        (RULE + 'patterns = ["(a)\\\\1"]\n', "RE2 has no lookaround and no back references", 3),
        (RULE + 'patterns = [""]\n', "rules.x.patterns: one of them is empty", 3),
        (RULE + 'words = ["stop", ""]\n', "rules.x.words: one of them is empty", 3),
        (RULE + 'words = ["\\ufe0f"]\n', "rules.x.words: one of them is empty", 3),
        (RULE + 'prefixes = ["/", " "]\n', "rules.x.prefixes: one of them is empty: white space", 3),
        (
            RULE + 'types = ["text", "imgae"]\n',
            "rules.x.types: there is no type imgae; did you mean image?",
            3,
        ),
        (RULE + 'types = "Image"\n', "there is no type Image; did you mean image?", 3),
        (
            RULE + 'sources = ["generc"]\n',
            "rules.x.sources: there is no [sources.generc]; did you mean generic",
            3,
        ),
        (SALON + RULE + 'sources = "generic"\n', "there is no [sources.generic]; there is salon", 5),
        (HTTP + 'url = "http://127.0.0.1:8000/in"\n', "sinks.crm.url: 127.0.0.1 is a loopback address", 3),
        (HTTP + 'url = "https://[fd00::1]/in"\n', "sinks.crm.url: fd00::1 is a private address", 3),
        (HTTP + 'url = "http://me:hush@LocalHost./"\n', "sinks.crm.url: localhost is this machine", 3),
        ('[rules.x]\nwords = "x"\n', "rules.x: it changes nothing: set action, quiet_ms", 1),
        ('[rules.x]\naction = "send_batch"\n', "rules.x: it matches every message: set words", 1),
        ('[rules.x]\nwords = []\naction = "send_batch"\n', "rules.x: it matches every message", 1),
        ('[sinks.crm]\ntype = "stdout"\nretry_delays_ms = [-1]\n', "sinks.crm.retry_delays_ms: each wait", 3),
        ('[sinks.my-crm]\ntype = "stdout"\nconcurrency = 0\n', "sinks.my-crm.concurrency: ", 3),
        ('[sources.s]\ntype = "waha"\nsecrets = ["x", " "]\n', "sources.s.secrets: one of them is empty", 3),
        (
            '[sinks.w]\ntype = "stream"\ngroup = "rfctl:x"\n',
            "sinks.w.group: groups that begin with rfctl:",
            3,
        ),
        (
            '[output]\nstream = "o1"\n[sinks.w]\ntype = "stream"\nkey = "o{phone}"\n',
            "sinks.w.key: o{phone} could be",
            5,
        ),
    ],
)
def test_a_wrong_named_section_is_said_in_words_with_its_line(
    tmp_path: Path, text: str, says: str, line: int
) -> None:
    [problem, *_] = [fault for fault in problems(tmp_path, text) if says in fault]
    assert problem.endswith(f"({tmp_path / 'etc.toml'}:{line})")


def test_wrong_rules_are_reported_together(tmp_path: Path) -> None:
    lines = problems(
        tmp_path, RULE + 'patterns = ["(", "a", ")"]\ntypes = ["imgae", "vocie"]\nwords = [""]\n[rules.y]\n'
    )
    assert sorted(line.partition(": ")[0] for line in lines) == [
        "rules.x.patterns", "rules.x.patterns", "rules.x.types", "rules.x.types", "rules.x.words",
        "rules.y", "rules.y",
    ]  # fmt: skip
    unknown = problems(
        tmp_path, RULE + 'sources = ["a", "b"]\n[rules.y]\naction = "send_batch"\nsources = ["c"]\n'
    )
    assert [line.partition(": ")[0] for line in unknown] == ["rules.x.sources"] * 2 + ["rules.y.sources"]


def test_wrong_named_sections_are_reported_together(tmp_path: Path) -> None:
    lines = problems(
        tmp_path,
        SALON + 'verify_token = "x"\npublic_url = "y"\n[rules.x]\n[sinks.crm]\ntype = "http"\n',
        RFCTL_SINKS__BOT__QUEUE="q",
        RFCTL_SOURCES__SECRETS="x",
    )
    starts = sorted(line.partition(": ")[0] for line in lines)
    assert starts == [
        "rules.x", "rules.x", "sinks.bot.type", "sinks.crm.url",
        "sources.salon.public_url", "sources.salon.verify_token", "sources.secrets",
    ]  # fmt: skip
    assert "variable RFCTL_SINKS__BOT__QUEUE" in str(lines)


def test_tls_files_go_with_a_tls_url_alone() -> None:
    for settings, problem in (
        (
            {"URL": "redis://h", "TLS_CA": "/ca"},
            "redis.tls_ca: it is for TLS, and redis.url is not rediss://",
        ),
        ({"URL": "embedded", "TLS_CA": "/ca"}, "redis.tls_ca: it is for TLS"),
        ({"URL": "rediss://h", "TLS_CERT": "/c"}, "redis.tls_key: is missing"),
        ({"URL": "rediss://h", "TLS_KEY": "/k"}, "redis.tls_cert: is missing"),
        (
            {"URL": "rediss://h?ssl_ca_certs=/a", "TLS_CA": "/ca"},
            "redis.tls_ca: redis.url has ssl_ca_certs= too",
        ),
    ):
        variables = {f"RFCTL_REDIS__{name}": value for name, value in settings.items()}
        with pytest.raises(SettingsError) as problems:
            load(Environment(variables, Path("/none")))
        assert problem in "; ".join(problems.value.problems)


def test_address_has_the_tls_files_and_who_set_the_shards() -> None:
    variables = {"URL": "valkeys://:p@h/1", "TLS_CA": "/ca", "TLS_CERT": "/c", "TLS_KEY": "/k", "SHARDS": "4"}
    environment = Environment(
        {f"RFCTL_REDIS__{name}": value for name, value in variables.items()}, Path("/none")
    )
    address = load(environment).address()
    assert address.url == "rediss://:p@h/1?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k"
    assert address.shards_set_by == "variable RFCTL_REDIS__SHARDS"
    assert address.set_by == "variable RFCTL_REDIS__URL"


@pytest.mark.parametrize("secret", ["57#Wc903z", "a/b", "a?b", "a@b", "x y", "TOP:SECRET%"])
def test_wrong_url_of_redis_is_refused_without_its_password(secret: str) -> None:
    environment = Environment({"RFCTL_REDIS__URL": f"redis://:{secret}@h:6379/0"}, Path("/none"))
    with pytest.raises(SettingsError) as problem:
        load(environment)
    assert secret not in "; ".join(problem.value.problems)
    assert "variable RFCTL_REDIS__URL" in problem.value.problems[0]
    assert "%" in problem.value.problems[0]


def test_foreign_file_among_the_credentials_is_left_alone(tmp_path: Path) -> None:
    folder = Path(
        credentials(tmp_path, **{"tls.key": "x", "database-password": "x", ".hidden": "x", "http.port": "1"})
    )
    (folder / "blob").write_bytes(b"\xff")
    (folder / "http").mkdir()
    configuration = loaded(tmp_path, CREDENTIALS_DIRECTORY=str(folder))
    assert configuration.settings.http.port == 1
    assert configuration.notices == []


def test_credential_with_the_shape_of_a_setting_must_be_one(tmp_path: Path) -> None:
    folder = credentials(tmp_path, **{"http.admin_tokn": "x"})
    [line] = problems(tmp_path, CREDENTIALS_DIRECTORY=folder)
    assert "did you mean http.admin_token" in line


def test_credential_whose_section_is_mistyped_is_noticed(tmp_path: Path) -> None:
    folder = credentials(tmp_path, **{"htpp.admin_token": "x"})
    [notice] = loaded(tmp_path, CREDENTIALS_DIRECTORY=folder).notices
    assert notice == "credential htpp.admin_token is no setting, and not read; did you mean http.admin_token?"


def test_credentials_folder_that_may_not_be_read_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = credentials(tmp_path)
    _deny(monkeypatch, Path(folder))
    [line] = problems(tmp_path, CREDENTIALS_DIRECTORY=folder)
    assert line == f"{folder}: cannot be read: Permission denied"


def _deny(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Root may read everything, also in a test."""
    iterate = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == folder:
            raise PermissionError(errno.EACCES, "Permission denied")
        return iterate(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)


def test_shell_reads_what_it_may_of_the_credentials_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(
        credentials(tmp_path, **{"redis.url": "redis://h:7/3\n", "http.admin_token": "x", "note": "x"})
    )
    hidden = folder / "http.admin_token"
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != hidden and allowed(path, mode))
    configuration = loaded(tmp_path)
    assert configuration.settings.redis.url == "redis://h:7/3"
    assert configuration.set_by("redis.url") == f"credential {folder / 'redis.url'}"
    assert configuration.settings.http.admin_token == ""
    assert loaded(tmp_path, RFCTL_REDIS__URL="redis://other").settings.redis.url == "redis://other"
    of_systemd = tmp_path / "systemd"
    of_systemd.mkdir()
    assert (
        loaded(tmp_path, CREDENTIALS_DIRECTORY=str(of_systemd)).settings.redis.url
        == "redis://127.0.0.1:6379/0"
    )
    _deny(monkeypatch, folder)
    assert loaded(tmp_path).settings.redis.url == "redis://127.0.0.1:6379/0"


def test_shell_with_the_file_of_an_instance_reads_its_credentials_alone(tmp_path: Path) -> None:
    """Those of rfctl@shop.service, not those of rfctl.service beside it."""
    folder = Path(credentials(tmp_path, **{"redis.url": "redis://usual"}))
    environment = Environment({"HOME": str(tmp_path)}, folder.parent / "config.toml")
    file = folder.parent / "shop.toml"
    for each in (file, environment.system_file):
        each.write_text("")
    assert load(environment, file=file).settings.redis.url == "redis://127.0.0.1:6379/0"
    (folder / "shop").mkdir()
    (folder / "shop/redis.url").write_text("redis://shop")
    assert load(environment, file=file).settings.redis.url == "redis://shop"
    assert load(environment, file=environment.system_file).settings.redis.url == "redis://usual"
    elsewhere = tmp_path / "elsewhere" / "shop.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("")
    assert load(environment, file=elsewhere).settings.redis.url == "redis://usual"


def test_daemon_says_where_it_runs_in_the_first_folder_that_it_has(tmp_path: Path) -> None:
    system = tmp_path / "rfctl"
    places = {"RUNTIME_DIRECTORY": "/run/rfctl-shop:/run/x", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert Environment(places, system_runtime_dir=system).runtime_dir == Path("/run/rfctl-shop")
    del places["RUNTIME_DIRECTORY"]
    assert Environment(places, system_runtime_dir=system).runtime_dir == Path("/run/user/7/rfctl")
    assert Environment({}, system_runtime_dir=system).runtime_dir is None
    system.mkdir()
    assert Environment({}, system_runtime_dir=system).runtime_dir == system


def test_shell_looks_for_daemons_of_all_instances(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("rfctl", "rfctl-a", "rfctl-shop")]
    for folder in (*folders, tmp_path / "rfctl2"):
        folder.mkdir()
    (tmp_path / "rfctl-shop.sock").touch()
    assert Environment({}, system_runtime_dir=folders[0]).runtime_dirs == folders


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('http.host = "unix:relative.sock"', "write unix:/path"),
        (f'http.host = "unix:/{"x" * 120}"', "at most 107 bytes"),
        ('http.allowed_hosts = ["http://bot.internal"]', "without scheme and port"),
        ('http.allowed_hosts = ["bot.internal:3000"]', "without scheme and port"),
        ("http.max_body_bytes = 50000000", "no such body would ever be taken. Raise max_inflight_bytes"),
        ('http.socket_mode = "rw"', "pattern"),
    ],
)
def test_setting_of_the_listener_that_cannot_be_is_refused_in_words(
    tmp_path: Path, text: str, says: str
) -> None:
    [problem] = problems(tmp_path, text)
    assert says in problem


def test_setting_of_the_listener_is_understood(tmp_path: Path) -> None:
    text = 'http.host = "unix:/run/rfctl/http.sock"\nhttp.allowed_hosts = ["Bot.Internal", "fd00::7"]\n'
    http = loaded(
        tmp_path, text + "http.max_body_bytes = 50000000\nhttp.max_inflight_bytes = 62500000\n"
    ).settings.http
    assert (http.host, http.allowed_hosts) == ("unix:/run/rfctl/http.sock", ["bot.internal", "fd00::7"])


def test_empty_credential_sets_nothing(tmp_path: Path) -> None:
    folder = credentials(tmp_path, **{"redis.url": "\n"})
    configuration = loaded(tmp_path, "[redis]\nurl = 'redis://h'\n", CREDENTIALS_DIRECTORY=folder)
    assert configuration.settings.redis.url == "redis://h"
    assert configuration.overrides(find_option("redis.url")) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[redis]\nprefix = "prod:"\n[output]\nstream = "prod:rfctl:due"\n', "output.stream"),
        ('[redis]\nprefix = "prod:"\n[sinks.a]\ntype = "list"\nkey = "prod:rapid-fire:x"\n', "sinks.a.key"),
        ('[redis]\nprefix = "prod:"\n[sinks.a]\ntype = "list"\nkey = "prod:{company}"\n', "sinks.a.key"),
        ('[redis]\nprefix = "prod:"\n[sinks.a]\ntype = "stream"\nkey = "prod:rfctl:out"\n', "sinks.a.key"),
        ('[redis]\nprefix = "prod:"\n[sinks.a]\ntype = "list"\nkey = "prod:messages:{company}"\n', None),
        ('[redis]\nprefix = "prod:"\n[output]\nstream = "prod:merged"\n', None),
        ('[redis]\nprefix = "prod:"\n[output]\nstream = "prod:rfctl:out"\n', None),
    ],
)
def test_key_that_could_be_a_key_behind_the_prefix_is_refused(
    tmp_path: Path, text: str, name: str | None
) -> None:
    if name is None:
        loaded(tmp_path, text)
    else:
        [line] = problems(tmp_path, text)
        assert line.startswith(f"{name}: ")
        assert "could be a key of rfctl's own" in line


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('hours = "9-18"\nzone = "UTC"\nquiet_ms = 1', "rules.x.hours: 9-18"),
        ('hours = "09:00-18:00"\nquiet_ms = 1', "rules.x.zone: is missing"),
        ('chats = "group"\nzone = "UTC"\nquiet_ms = 1', "rules.x.zone: it is a time zone for no hours"),
        ('hours = "09:00-18:00"\nzone = "Europe/Moskow"\nquiet_ms = 1', "did you mean Europe/Moscow?"),
        ('hours = "09:00-18:00"\nzone = "UTC"\naction = "wait_until_open"', "set outside_hours"),
        ('chats = "groups"\naction = "drop"', "'group' or 'private'"),
        ('phones = "7*9"\naction = "drop"', "rules.x.phones: 7*9 is no phone"),
        ('max_age_ms = 0\naction = "drop"', "rules.x.max_age_ms"),
        ('action = "drop"', "it matches every message"),
    ],
)
def test_rule_that_cannot_be_meant_is_refused(tmp_path: Path, rule: str, says: str) -> None:
    assert says in "\n".join(problems(tmp_path, f"[rules.x]\n{rule}\n"))


def test_conditions_of_a_rule_come_from_variables_too(tmp_path: Path) -> None:
    variables = {
        "RFCTL_RULES__X__PHONES": "+7 900 123-45-67, 7999*",
        "RFCTL_RULES__X__CHATS": "private",
        "RFCTL_RULES__X__OUTSIDE_HOURS": "mon-fri 09:00-18:00, sat",
        "RFCTL_RULES__X__ZONE": "Asia/Tokyo",
        "RFCTL_RULES__X__ACTION": "drop",
    }
    [rule, *_] = build_policy(load(environment(tmp_path, **variables)).settings).rules
    assert (rule.phones, rule.phone_prefixes) == (frozenset({"79001234567"}), ("7999",))
    assert (rule.chats, rule.action) == (frozenset({"private"}), "drop")
    assert rule.outside_hours is not None
