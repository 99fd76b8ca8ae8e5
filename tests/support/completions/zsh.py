"""Completion for zsh: as for bash, with the help of each word beside it."""

from __future__ import annotations

from tests.support.completions.tree import ASKING, Node, list_settings

_HEAD = """\
#compdef rfctl
# Completion of rfctl for zsh. Printed by: rfctl export completion zsh
# The words are in this file. Only names of sinks, sources and dead letters ask rfctl. scripts/docs writes it.

# Sets what there is behind a command: its commands, its options, the kinds of their values, and those of its arguments.
_rfctl_describe() {
  subcommands=() flags=() arguments=() repeats=''
  values=()
  case $1 in
"""
_ENGINE = """\
  esac
}

# Asks rfctl for all names of a kind that begin as the word does. The global options of the line go along.
_rfctl_ask() {
  local -a line found
  line=($program $globals)
  case $1 in
@ASKING@
  esac
  found=(${(f)"$(_RFCTL_COMPLETE=complete_bash COMP_WORDS="${(j: :)${(@q)line}} $PREFIX" COMP_CWORD=$#line \\
    $program 2>/dev/null)"})
  (( $#found == 0 )) || compadd -- $found
}

_rfctl_offer() {
  case $1 in
    choice:*) compadd -- ${(s:,:)1#choice:} ;;
    file) _files ;;
    settings)
      case $PREFIX in
        @NAMED@) _rfctl_ask settings ;;
        *) compadd -- $_rfctl_settings; compadd -S '' -- $_rfctl_sections ;;
      esac ;;
    sinks|sources|dead) _rfctl_ask $1 ;;
    *) _message 'a value' ;;
  esac
}

_rfctl() {
  local program=${~words[1]} node='' option='' repeats word i
  local -i count=0
  local -a globals subcommands flags arguments
  local -A values
  _rfctl_describe ''
  for ((i = 2; i < CURRENT; i++)); do
    word=${(Q)words[i]}
    if [[ -n $option ]]; then
      [[ $option != (--config|--redis) ]] || globals+=($option $word)
      option=''
    elif [[ $word == --*=* ]]; then
      [[ $word != (--config|--redis)=* ]] || globals+=($word)
    elif [[ $word == -* ]]; then
      [[ $word != --embedded ]] || globals+=($word)
      (( ! $+values[$word] )) || option=$word
    elif (( ${subcommands[(I)$word:*]} )); then
      node=${node:+$node }$word
      _rfctl_describe $node
    else
      count+=1
    fi
  done
  if [[ -z $option && $PREFIX == --*=* ]]; then
    option=${PREFIX%%=*}
    compset -P '*='
  fi
  if [[ -n $option ]]; then
    _rfctl_offer ${values[$option]:-none}
  elif [[ $PREFIX == -* ]]; then
    _describe -o option flags
  elif (( $#subcommands )); then
    _describe -t commands command subcommands
  else
    [[ -z $repeats || $count -lt $#arguments ]] || count=$(($#arguments - 1))
    _rfctl_offer ${arguments[count + 1]:-none}
  fi
}

"""
_TAIL = """
if [[ $funcstack[1] == _rfctl ]]; then
  _rfctl "$@"
else
  compdef _rfctl rfctl
fi
"""


def render_zsh(nodes: list[Node]) -> str:
    """Return the file for zsh."""
    plain, named = list_settings()
    asking = "\n".join(f"    {kind}) line+=({words}) ;;" for kind, words in ASKING.items())
    engine = _ENGINE.replace("@ASKING@", asking).replace("@NAMED@", "|".join(f"{it}*" for it in named))
    settings = f"_rfctl_settings=({' '.join(plain)})\n_rfctl_sections=({' '.join(named)})\n"
    return _HEAD + "".join(map(_render_node, nodes)) + engine + settings + _TAIL


def _render_node(node: Node) -> str:
    fields = {
        "subcommands": [f"{name}:{text}" for name, text in node.commands],
        "flags": [f"{name}:{option.help}" for option in node.options for name in option.names],
        "values": [
            word
            for option in node.options
            if option.kind
            for name in option.names
            for word in (name, option.kind)
        ],
        "arguments": list(node.arguments),
    }
    lines = [f"      {name}=({' '.join(map(_quote, words))})" for name, words in fields.items() if words]
    lines += ["      repeats=yes"] if node.repeats else []
    return f"    '{node.words}')\n" + "\n".join(lines) + " ;;\n"


def _quote(word: str) -> str:
    return f"'{word}'"
