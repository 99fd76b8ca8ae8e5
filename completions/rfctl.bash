# Completion of rfctl for bash. Printed by: rfctl export completion bash
# The words are in this file. Only names of sinks, sources and dead letters ask rfctl. scripts/docs writes it.

# Sets what there is behind a command: its commands, its options, the kinds of their values, and those of its arguments.
_rfctl_describe() {
  commands='' options='' values='' arguments='' repeats=''
  case $1 in
    '')
      commands='demo serve stats top find doctor check inspect tail flush discard hold release held adopt forget pause resume resend simulate dead quarantine source config export'
      options='-o --output --json --config --redis --embedded --debug --version -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'demo')
      options='--keep -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'serve')
      options='--role --host --port --rollout -o --output --json --config --redis --embedded --debug -h --help'
      values='--role=choice:all,webhook,processor,forwarder --host=none --port=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'stats')
      options='--watch --limit -o --output --json --config --redis --embedded --debug -h --help'
      values='--limit=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'top')
      options='--read-only -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'find')
      options='--chat -o --output --json --config --redis --embedded --debug -h --help'
      values='--chat=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'doctor')
      options='--strict --probe --report -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'check')
      options='-w --warning -c --critical -o --output --json --config --redis --embedded --debug -h --help'
      values='-w=none --warning=none -c=none --critical=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'inspect')
      options='--chat -o --output --json --config --redis --embedded --debug -h --help'
      values='--chat=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'tail')
      options='--since --grep --forward-to -o --output --json --config --redis --embedded --debug -h --help'
      values='--since=none --grep=none --forward-to=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'flush')
      options='--chat --all --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='--chat=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'discard')
      options='--chat --all --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='--chat=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'hold')
      options='--for --note --chat --account --company -o --output --json --config --redis --embedded --debug -h --help'
      values='--for=none --note=none --chat=none --account=none --company=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'release')
      options='--discard -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'held')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'adopt')
      options='--as --watch --dry-run --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='--as=none --watch=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none'
      repeats='yes' ;;
    'forget')
      options='--stream --wait --dry-run --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='--wait=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'pause')
      options='--why -o --output --json --config --redis --embedded --debug -h --help'
      values='--why=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='sinks' ;;
    'resume')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='sinks' ;;
    'resend')
      options='--sink --since --until --dry-run --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='--sink=sinks --since=none --until=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'simulate')
      options='--count --interval --phones --phone --scenario --via --expect-batches --as -o --output --json --config --redis --embedded --debug -h --help'
      values='--count=none --interval=none --phones=none --phone=none --scenario=choice:rapid-fire,long-pauses,overflow --via=choice:webhook,redis --expect-batches=none --as=sources -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'dead')
      commands='list show retry drop'
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'dead list')
      options='--sink --limit -o --output --json --config --redis --embedded --debug -h --help'
      values='--sink=sinks --limit=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'dead show')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='dead' ;;
    'dead retry')
      options='--all --sink --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='--sink=sinks -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='dead'
      repeats='yes' ;;
    'dead drop')
      options='--all --sink --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='--sink=sinks -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='dead'
      repeats='yes' ;;
    'quarantine')
      commands='list show retry drop'
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'quarantine list')
      options='--limit -o --output --json --config --redis --embedded --debug -h --help'
      values='--limit=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'quarantine show')
      options='--body -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none' ;;
    'quarantine retry')
      options='--all -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none'
      repeats='yes' ;;
    'quarantine drop')
      options='--all --yes -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='none'
      repeats='yes' ;;
    'source')
      commands='try'
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'source try')
      options='--headers -H --path --preset -o --output --json --config --redis --embedded --debug -h --help'
      values='--headers=file -H=none --path=none --preset=choice:360dialog,bird,chatapp,chatwoot,edna,gupshup,infobip,instagram,line,messenger,slack,ultramsg,umnico,viber,vk,vonage,wassenger,wazzup24,whapi,zapi,zenvia -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='sources file' ;;
    'config')
      commands='show explain check path init'
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'config show')
      options='--secrets --to --changed -o --output --json --config --redis --embedded --debug -h --help'
      values='--to=file -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'config explain')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='settings' ;;
    'config check')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'config path')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'config init')
      options='--source --sink --stdout -o --output --json --config --redis --embedded --debug -h --help'
      values='--source=none --sink=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export')
      commands='unit socket tmpfiles alerts grafana openapi completion man acl'
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export unit')
      options='--template --notify-reload -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export socket')
      options='--template -o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export tmpfiles')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export alerts')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export grafana')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export openapi')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
    'export completion')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='choice:bash,zsh,fish' ;;
    'export man')
      options='-o --output --json --config --redis --embedded --debug -h --help'
      values='-o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none'
      arguments='choice:1,5,7' ;;
    'export acl')
      options='--user --server --worker -o --output --json --config --redis --embedded --debug -h --help'
      values='--user=none --server=none --worker=none -o=choice:table,json,jsonl,toml --output=choice:table,json,jsonl,toml --config=file --redis=none' ;;
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
    sinks) line+=(pause) ;;
    sources) line+=(source try) ;;
    dead) line+=(dead show) ;;
    settings) line+=(config explain) ;;
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
        sources.* | rules.* | sinks.*) _rfctl_ask settings ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$_rfctl_settings" -- "$cur")
          [[ ${COMPREPLY[*]} != *. ]] || compopt -o nospace 2>/dev/null ;;
      esac ;;
    sinks | sources | dead) _rfctl_ask "$1" ;;
  esac
}

_rfctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]/#\~/$HOME} globals=() node='' option='' kind='' count=0 word i
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
_rfctl_settings='redis.url redis.tls_ca redis.tls_cert redis.tls_key redis.shards redis.prefix redis.allow_eviction redis.connect_timeout_ms redis.timeout_ms redis.embedded_port redis.embedded_dir batching.quiet_ms batching.max_size batching.max_wait_ms batching.separator batching.order batching.split_by batching.placeholder batching.dedupe_s batching.overdue_ms batching.max_text_bytes http.host http.port http.socket_mode http.admin_token http.metrics_token http.allowed_hosts http.page http.max_body_bytes http.max_inflight_bytes http.max_header_bytes http.header_timeout_ms http.body_timeout_ms output.stream output.retention_s output.retention_entries delivery_log.retention_s delivery_log.max_bytes quarantine.retention_s quarantine.max_bytes daemon.role daemon.max_sleep_ms daemon.stats_log_s daemon.monitor daemon.drain log.level log.format log.mask sources. rules. sinks.'
