"""Completion for bash: tables as a `case`, and the program that reads them. It needs bash 4.4, and no other package."""

from __future__ import annotations

from tests.support.completions.tree import ASKING, Node, list_settings

_HEAD = """\
# Completion of rfctl for bash. Printed by: rfctl export completion bash
# The words are in this file. Only names of sinks, sources and dead letters ask rfctl. scripts/docs writes it.

# Sets what there is behind a command: its commands, its options, the kinds of their values, and those of its arguments.
_rfctl_describe() {
  commands='' options='' values='' arguments='' repeats=''
  case $1 in
"""
_ENGINE = """\
  esac
}

# Sets `kind` to the kind of an option's value. Fails if it has none.
_rfctl_takes_value() {
  local pair
  for pair in $values; do
    [[ $pair != "$1="* ]] || { kind=${pair#*=}; return 0; }
  done
  return 1
}

# Asks rfctl for all names of a kind that begin as the word does. The global options of the line go along.
_rfctl_ask() {
  local line=("$program" "${globals[@]}") word
  case $1 in
@ASKING@
  esac
  local text=''
  for word in "${line[@]}"; do text+="$(printf '%q' "$word") "; done
  mapfile -t COMPREPLY < <(
    env _RFCTL_COMPLETE=complete_bash COMP_WORDS="$text$cur" COMP_CWORD="${#line[@]}" "$program" 2>/dev/null
  )
}

_rfctl_offer() {
  local words
  case $1 in
    choice:*) words=${1#choice:}; mapfile -t COMPREPLY < <(compgen -W "${words//,/ }" -- "$cur") ;;
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    settings)
      case $cur in
        @NAMED@) _rfctl_ask settings ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$_rfctl_settings" -- "$cur")
          [[ ${COMPREPLY[*]} != *. ]] || compopt -o nospace 2>/dev/null ;;
      esac ;;
    sinks | sources | dead) _rfctl_ask "$1" ;;
  esac
}

_rfctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]/#\\~/$HOME} globals=() node='' option='' kind='' count=0 word i
  local commands options values arguments repeats
  COMPREPLY=()
  _rfctl_describe ''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == '=' ]]; then continue; fi # bash parts --sink=crm into three words
    if [[ -n $option ]]; then
      case $option in --config | --redis) globals+=("$option" "$word") ;; esac
      option=''
    elif [[ $word == -* ]]; then
      [[ $word != --embedded ]] || globals+=("$word")
      ! _rfctl_takes_value "$word" || option=$word
    elif [[ " $commands " == *" $word "* ]]; then
      node=${node:+$node }$word
      _rfctl_describe "$node"
    else
      count=$((count + 1))
    fi
  done
  [[ $cur != '=' ]] || cur=''
  if [[ -n $option ]]; then
    _rfctl_offer "$kind"
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif [[ -n $commands ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
  else
    local kinds=($arguments)
    [[ -z $repeats || $count -lt ${#kinds[@]} ]] || count=$((${#kinds[@]} - 1))
    _rfctl_offer "${kinds[count]:-none}"
  fi
}

complete -F _rfctl rfctl
"""


def render_bash(nodes: list[Node]) -> str:
    """Return the file for bash."""
    plain, named = list_settings()
    asking = "\n".join(f"    {kind}) line+=({words}) ;;" for kind, words in ASKING.items())
    engine = _ENGINE.replace("@ASKING@", asking).replace("@NAMED@", " | ".join(f"{it}*" for it in named))
    settings = f"_rfctl_settings='{' '.join([*plain, *named])}'\n"
    return _HEAD + "".join(map(_render_node, nodes)) + engine + settings


def _render_node(node: Node) -> str:
    options = " ".join(name for option in node.options for name in option.names)
    values = " ".join(
        f"{name}={option.kind}" for option in node.options if option.kind for name in option.names
    )
    fields = {
        "commands": " ".join(name for name, _ in node.commands),
        "options": options,
        "values": values,
        "arguments": " ".join(node.arguments),
        "repeats": "yes" if node.repeats else "",
    }
    inside = "\n".join(f"      {name}='{value}'" for name, value in fields.items() if value)
    return f"    '{node.words}')\n{inside} ;;\n"
