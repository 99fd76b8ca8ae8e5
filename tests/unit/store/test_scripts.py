"""The text of the scripts: what each is made of, and that nothing in it is undefined, unused or shadowed."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import get_args

import pytest

from rfctl.model.closed_sets import DrainReason, Reason
from rfctl.store.scripts import CLOCK, ScriptLibrary, list_verbs, parse_includes
from tests.support.clock import INCLUDE

LUA = Path(str(resources.files("rfctl.store").joinpath("lua")))
REPOSITORY = Path(__file__).parents[3]
NEEDED = "luacheck is not on this machine: apt install lua-check"


@pytest.fixture(params=list_verbs())
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def luacheck() -> str:
    program = shutil.which("luacheck")
    if program is None:
        pytest.skip(NEEDED)
    if not LUA.is_relative_to(REPOSITORY / "rfctl"):
        pytest.skip("the rules of .luacheckrc are for the sources, and this is an installed copy")
    return program


def text_of(verb: str) -> str:
    [file] = LUA.glob(f"*/{verb}.lua")
    return file.read_text()


def check(program: str, *arguments: str, text: str = "") -> str:
    """What luacheck complains of."""
    done = subprocess.run(
        [program, "--codes", "--no-color", *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_each_lua_file_is_clean(luacheck: str) -> None:
    assert check(luacheck, str(LUA)) == ""


def test_each_verb_is_clean_as_redis_runs_it(luacheck: str, verb: str) -> None:
    """With its includes before it: no name is missing, defined twice or shadowed. An include gives more than is used."""
    names = ("--no-config", "--std", "lua51", "--globals", "KEYS", "ARGV", "--read-globals", "redis", "cjson")
    text = ScriptLibrary().script(verb).text
    assert check(luacheck, *names, "--ignore", "211", "--", "-", text=text) == ""


def test_each_verb_tells_all_its_keys_and_arguments(verb: str) -> None:
    """Numbered from 1, without a gap, up to the last that the text reads."""
    text = text_of(verb)
    for name in ("KEYS", "ARGV"):
        head = re.search(rf"^-- {name}  .*\n(?:--       \d.*\n|--  {{6,}}.*\n)*", text, re.MULTILINE)
        used = [int(number) for number in re.findall(rf"{name}\[(\d+)\]", text)]
        numbers = [int(number) for number in re.findall(r"(?<=  )(\d+)…? (?=\S)", head[0])] if head else []
        assert numbers == list(range(1, len(numbers) + 1)), verb
        assert max(used, default=0) <= len(numbers), verb


def test_only_the_clock_reads_the_time() -> None:
    readers = [
        file.relative_to(LUA).as_posix() for file in LUA.glob("*/*.lua") if "'TIME'" in file.read_text()
    ]
    assert readers == [f"{CLOCK}.lua"]


def test_verb_that_only_reads_goes_by_no_clock(verb: str) -> None:
    """After a jump of the server's clock a verb with a clock is run again after a write, which readers may not do."""
    script = ScriptLibrary().script(verb)
    assert not (script.reads_clock and "no-writes" in script.text.partition("\n")[0])


def test_another_clock_takes_the_place_of_the_servers(verb: str) -> None:
    text = ScriptLibrary(INCLUDE).script(verb).text
    assert "'TIME'" not in text
    assert (INCLUDE in text) == (CLOCK in parse_includes(text_of(verb)))


def test_includes_stand_before_the_verb_in_their_order() -> None:
    text = ScriptLibrary().script("flush").text
    parts = [
        (LUA / f"shared/{name}.lua").read_text()
        for name in ("clock", "rights", "item", "merging", "holding", "batch")
    ]
    assert text == "#!lua flags=allow-oom\n" + "".join(parts) + text_of("flush")


def test_script_for_redis_6_has_no_flags_and_writes_first() -> None:
    text = ScriptLibrary().script("pause").without_shebang().text
    assert text.startswith("redis.call('UNLINK', KEYS[1] .. ':')\n-- flags=allow-oom")


def test_every_reason_that_a_script_gives_is_in_the_closed_set() -> None:
    of_scripts = set(get_args(Reason)) - set(get_args(DrainReason))
    text = text_of("add") + text_of("hand_over") + (LUA / "shared" / "batch.lua").read_text()
    text += (LUA / "shared" / "taking_over.lua").read_text()
    quoted = set(re.findall(r"'([a-z]+(?:-[a-z]+)?)'", text))
    assert of_scripts <= quoted
    assert set(re.findall(r"hand_over\(name, .*?'([a-z-]+)'", text)) <= of_scripts
