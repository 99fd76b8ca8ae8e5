"""Completion for fish: a line of `complete` for each word, with its help."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.completions.tree import ASKING, Node, Opt, list_settings

_HEAD = """\
# Completion of rfctl for fish. Printed by: rfctl export completion fish
# The words are in this file. Only names of sinks, sources and dead letters ask rfctl. scripts/docs writes it.

# Reads the line before the cursor once: the words of the command, how many arguments follow, and the global options.
function __rfctl_read
    set -l line (commandline -opc)
    test "$line" = "$__rfctl_line" -a -n "$__rfctl_line"; and return
    set -g __rfctl_line $line
    set -g __rfctl_node ''
    set -g __rfctl_count 0
    set -g __rfctl_globals
    set -l option ''
    for word in $line[2..-1]
        set -l longer (string trim -- "$__rfctl_node $word")
        if test -n "$option"
            contains -- $option --config --redis; and set -a __rfctl_globals $option $word
            set option ''
        else if string match -q -- '-*' $word
            contains -- (string split -m1 = -- $word)[1] --config --redis --embedded
            and string match -q -r -- '=|^--embedded$' $word
            and set -a __rfctl_globals $word
            contains -- "$__rfctl_node $word" $__rfctl_valued; and set option $word
        else if contains -- $longer $__rfctl_nodes
            set -g __rfctl_node $longer
        else
            set -g __rfctl_count (math $__rfctl_count + 1)
        end
    end
end

function __rfctl_at # COMMAND [FIRST LAST]: is this the command, with so many arguments before the cursor?
    __rfctl_read
    test "$__rfctl_node" = "$argv[1]"; or return 1
    test (count $argv) -eq 1; and return 0
    test $__rfctl_count -ge $argv[2] -a $__rfctl_count -le $argv[3]
end

# Asks rfctl for all names of a kind that begin as the word does. The global options of the line go along.
function __rfctl_ask
    __rfctl_read
    set -l program (string replace -r '^~' $HOME -- $__rfctl_line[1])
    set -l current (string replace -r '^--[a-z-]+=' '' -- (commandline -ct))
    set -l line $program $__rfctl_globals
    switch $argv[1]
@ASKING@
    end
    _RFCTL_COMPLETE=complete_bash COMP_WORDS="$(string escape -- $line | string join ' ') $current" \\
        COMP_CWORD=(count $line) $program 2>/dev/null
end

function __rfctl_setting
    set -l current (commandline -ct)
    if string match -q -r -- '^(@NAMED@)' $current
        __rfctl_ask settings
    else
        string split ' ' -- '@SETTINGS@'
    end
end

"""


def render_fish(nodes: list[Node]) -> str:
    """Return the file for fish."""
    plain, named = list_settings()
    asking = "\n".join(
        f"        case {kind}\n            set -a line {words}" for kind, words in ASKING.items()
    )
    head = _HEAD.replace("@ASKING@", asking).replace("@SETTINGS@", " ".join([*plain, *named]))
    head = head.replace("@NAMED@", "|".join(it.replace(".", r"\.") for it in named))
    valued = [
        f"'{node.words} {name}'"
        for node in nodes
        for option in node.options
        if option.kind
        for name in option.names
    ]
    tables = [
        _set("__rfctl_nodes", [f"'{node.words}'" for node in nodes if node.words]),
        _set("__rfctl_valued", valued),
        "complete -c rfctl -f",
    ]
    root, *rest = nodes
    shared = frozenset(option for option in root.options if option in rest[0].options)
    tables += [
        f"complete -c rfctl {_spell_option(option)} -d '{option.help}'"
        for option in root.options
        if option in shared
    ]
    lines = [line for node in nodes for line in _render_node(node, shared)]
    return head + "\n".join([*tables, *lines]) + "\n"


def _set(name: str, words: list[str]) -> str:
    return f"set -g {name} " + " ".join(words)


def _render_node(node: Node, shared: frozenset[Opt]) -> Iterator[str]:
    at = f"complete -c rfctl -n '__rfctl_at \"{node.words}\"'"
    for name, text in node.commands:
        yield f"{at} -a {name} -d '{text}'"
    for option in node.options:
        if option in shared:
            continue
        yield f"{at} {_spell_option(option)} -d '{option.help}'"
    for index, kind in enumerate(node.arguments):
        last = 99 if node.repeats and index == len(node.arguments) - 1 else index
        if offer := _offer(kind):
            yield f"complete -c rfctl -n '__rfctl_at \"{node.words}\" {index} {last}' {offer}"


def _spell_option(option: Opt) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    if option.kind is None:
        return names
    return f"{names} -r {offer}" if (offer := _offer(option.kind)) else f"{names} -x"


def _offer(kind: str) -> str:
    if kind == "none":
        return ""
    if kind == "file":
        return "-F"
    if kind == "settings":
        return "-f -a '(__rfctl_setting)'"
    if kind.startswith("choice:"):
        return f"-f -a '{kind.removeprefix('choice:').replace(',', ' ')}'"
    return f"-f -a '(__rfctl_ask {kind})'"
