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
        case sinks
            set -a line pause
        case sources
            set -a line source try
        case dead
            set -a line dead show
        case settings
            set -a line config explain
    end
    _RFCTL_COMPLETE=complete_bash COMP_WORDS="$(string escape -- $line | string join ' ') $current" \
        COMP_CWORD=(count $line) $program 2>/dev/null
end

function __rfctl_setting
    set -l current (commandline -ct)
    if string match -q -r -- '^(sources\.|rules\.|sinks\.)' $current
        __rfctl_ask settings
    else
        string split ' ' -- 'redis.url redis.tls_ca redis.tls_cert redis.tls_key redis.shards redis.prefix redis.allow_eviction redis.connect_timeout_ms redis.timeout_ms redis.embedded_port redis.embedded_dir batching.quiet_ms batching.max_size batching.max_wait_ms batching.separator batching.order batching.split_by batching.placeholder batching.dedupe_s batching.overdue_ms batching.max_text_bytes http.host http.port http.socket_mode http.admin_token http.metrics_token http.allowed_hosts http.page http.max_body_bytes http.max_inflight_bytes http.max_header_bytes http.header_timeout_ms http.body_timeout_ms output.stream output.retention_s output.retention_entries delivery_log.retention_s delivery_log.max_bytes quarantine.retention_s quarantine.max_bytes daemon.role daemon.max_sleep_ms daemon.stats_log_s daemon.monitor daemon.drain log.level log.format log.mask sources. rules. sinks.'
    end
end

set -g __rfctl_nodes 'demo' 'serve' 'stats' 'top' 'find' 'doctor' 'check' 'inspect' 'tail' 'flush' 'discard' 'hold' 'release' 'held' 'adopt' 'forget' 'pause' 'resume' 'resend' 'simulate' 'dead' 'dead list' 'dead show' 'dead retry' 'dead drop' 'quarantine' 'quarantine list' 'quarantine show' 'quarantine retry' 'quarantine drop' 'source' 'source try' 'config' 'config show' 'config explain' 'config check' 'config path' 'config init' 'export' 'export unit' 'export socket' 'export tmpfiles' 'export alerts' 'export grafana' 'export openapi' 'export completion' 'export man' 'export acl'
set -g __rfctl_valued ' -o' ' --output' ' --config' ' --redis' 'demo -o' 'demo --output' 'demo --config' 'demo --redis' 'serve --role' 'serve --host' 'serve --port' 'serve -o' 'serve --output' 'serve --config' 'serve --redis' 'stats --limit' 'stats -o' 'stats --output' 'stats --config' 'stats --redis' 'top -o' 'top --output' 'top --config' 'top --redis' 'find --chat' 'find -o' 'find --output' 'find --config' 'find --redis' 'doctor -o' 'doctor --output' 'doctor --config' 'doctor --redis' 'check -w' 'check --warning' 'check -c' 'check --critical' 'check -o' 'check --output' 'check --config' 'check --redis' 'inspect --chat' 'inspect -o' 'inspect --output' 'inspect --config' 'inspect --redis' 'tail --since' 'tail --grep' 'tail --forward-to' 'tail -o' 'tail --output' 'tail --config' 'tail --redis' 'flush --chat' 'flush -o' 'flush --output' 'flush --config' 'flush --redis' 'discard --chat' 'discard -o' 'discard --output' 'discard --config' 'discard --redis' 'hold --for' 'hold --note' 'hold --chat' 'hold --account' 'hold --company' 'hold -o' 'hold --output' 'hold --config' 'hold --redis' 'release -o' 'release --output' 'release --config' 'release --redis' 'held -o' 'held --output' 'held --config' 'held --redis' 'adopt --as' 'adopt --watch' 'adopt -o' 'adopt --output' 'adopt --config' 'adopt --redis' 'forget --wait' 'forget -o' 'forget --output' 'forget --config' 'forget --redis' 'pause --why' 'pause -o' 'pause --output' 'pause --config' 'pause --redis' 'resume -o' 'resume --output' 'resume --config' 'resume --redis' 'resend --sink' 'resend --since' 'resend --until' 'resend -o' 'resend --output' 'resend --config' 'resend --redis' 'simulate --count' 'simulate --interval' 'simulate --phones' 'simulate --phone' 'simulate --scenario' 'simulate --via' 'simulate --expect-batches' 'simulate --as' 'simulate -o' 'simulate --output' 'simulate --config' 'simulate --redis' 'dead -o' 'dead --output' 'dead --config' 'dead --redis' 'dead list --sink' 'dead list --limit' 'dead list -o' 'dead list --output' 'dead list --config' 'dead list --redis' 'dead show -o' 'dead show --output' 'dead show --config' 'dead show --redis' 'dead retry --sink' 'dead retry -o' 'dead retry --output' 'dead retry --config' 'dead retry --redis' 'dead drop --sink' 'dead drop -o' 'dead drop --output' 'dead drop --config' 'dead drop --redis' 'quarantine -o' 'quarantine --output' 'quarantine --config' 'quarantine --redis' 'quarantine list --limit' 'quarantine list -o' 'quarantine list --output' 'quarantine list --config' 'quarantine list --redis' 'quarantine show -o' 'quarantine show --output' 'quarantine show --config' 'quarantine show --redis' 'quarantine retry -o' 'quarantine retry --output' 'quarantine retry --config' 'quarantine retry --redis' 'quarantine drop -o' 'quarantine drop --output' 'quarantine drop --config' 'quarantine drop --redis' 'source -o' 'source --output' 'source --config' 'source --redis' 'source try --headers' 'source try -H' 'source try --path' 'source try --preset' 'source try -o' 'source try --output' 'source try --config' 'source try --redis' 'config -o' 'config --output' 'config --config' 'config --redis' 'config show --to' 'config show -o' 'config show --output' 'config show --config' 'config show --redis' 'config explain -o' 'config explain --output' 'config explain --config' 'config explain --redis' 'config check -o' 'config check --output' 'config check --config' 'config check --redis' 'config path -o' 'config path --output' 'config path --config' 'config path --redis' 'config init --source' 'config init --sink' 'config init -o' 'config init --output' 'config init --config' 'config init --redis' 'export -o' 'export --output' 'export --config' 'export --redis' 'export unit -o' 'export unit --output' 'export unit --config' 'export unit --redis' 'export socket -o' 'export socket --output' 'export socket --config' 'export socket --redis' 'export tmpfiles -o' 'export tmpfiles --output' 'export tmpfiles --config' 'export tmpfiles --redis' 'export alerts -o' 'export alerts --output' 'export alerts --config' 'export alerts --redis' 'export grafana -o' 'export grafana --output' 'export grafana --config' 'export grafana --redis' 'export openapi -o' 'export openapi --output' 'export openapi --config' 'export openapi --redis' 'export completion -o' 'export completion --output' 'export completion --config' 'export completion --redis' 'export man -o' 'export man --output' 'export man --config' 'export man --redis' 'export acl --user' 'export acl --server' 'export acl --worker' 'export acl -o' 'export acl --output' 'export acl --config' 'export acl --redis'
complete -c rfctl -f
complete -c rfctl -s o -l output -r -f -a 'table json jsonl toml' -d 'table, json or jsonl; toml is for config show'
complete -c rfctl -l json -d 'The same as -o json'
complete -c rfctl -l config -r -F -d 'Read this file instead of the usual ones'
complete -c rfctl -l redis -x -d 'Use this Redis'
complete -c rfctl -l embedded -d 'Use the private Valkey of serve --embedded'
complete -c rfctl -l debug -d 'Show tracebacks'
complete -c rfctl -s h -l help -d 'Show this message and exit.'
complete -c rfctl -n '__rfctl_at ""' -a demo -d 'Start a private Valkey and a daemon, let three people write, and …'
complete -c rfctl -n '__rfctl_at ""' -a serve -d 'Run the daemon: the webhook takes messages in, the processor hands …'
complete -c rfctl -n '__rfctl_at ""' -a stats -d 'Show whether it is working, what needs you, who waits, out to whom …'
complete -c rfctl -n '__rfctl_at ""' -a top -d 'Watch who waits, what needs you and where it goes, and act on it …'
complete -c rfctl -n '__rfctl_at ""' -a find -d 'Tell what became of a person’s messages, in the order of time, and …'
complete -c rfctl -n '__rfctl_at ""' -a doctor -d 'Look at everything, and say what is wrong, who set it and what to …'
complete -c rfctl -n '__rfctl_at ""' -a check -d 'Say in one line for Nagios, cron or Kubernetes whether rfctl works'
complete -c rfctl -n '__rfctl_at ""' -a inspect -d 'Show everything of a person, wherever it is: pending, unread, before …'
complete -c rfctl -n '__rfctl_at ""' -a tail -d 'Follow live what comes in (-->), leaves as one (<--) and is …'
complete -c rfctl -n '__rfctl_at ""' -a flush -d 'Hand over all that is pending for a person now'
complete -c rfctl -n '__rfctl_at ""' -a discard -d 'Throw away all that is pending for a person, and print it'
complete -c rfctl -n '__rfctl_at ""' -a hold -d 'Keep a person from the bot for a while: somebody on your side talks …'
complete -c rfctl -n '__rfctl_at ""' -a release -d 'End the hold of a person, and hand over what came meanwhile as one'
complete -c rfctl -n '__rfctl_at ""' -a held -d 'List who is held, until when, by whom and why'
complete -c rfctl -n '__rfctl_at ""' -a adopt -d 'Take in lists of messages that nobody hands over, and let them be …'
complete -c rfctl -n '__rfctl_at ""' -a forget -d 'Remove all of a person from Redis, and say what stays and until when'
complete -c rfctl -n '__rfctl_at ""' -a pause -d 'Stop deliveries to a sink, on every daemon'
complete -c rfctl -n '__rfctl_at ""' -a resume -d 'Start deliveries to a paused sink again; messages that wait are …'
complete -c rfctl -n '__rfctl_at ""' -a resend -d 'Send a merged message again, as the next message of its person'
complete -c rfctl -n '__rfctl_at ""' -a simulate -d 'Send simulated messages through the running daemon and check the …'
complete -c rfctl -n '__rfctl_at ""' -a dead -d 'Dead letters: merged messages that a sink did not take at any attempt'
complete -c rfctl -n '__rfctl_at ""' -a quarantine -d 'Authentic requests that could not be parsed'
complete -c rfctl -n '__rfctl_at ""' -a source -d 'Try what a source makes of a captured request: messages, skips, …'
complete -c rfctl -n '__rfctl_at ""' -a config -d 'Show, explain and check the settings'
complete -c rfctl -n '__rfctl_at ""' -a export -d 'Print files for other programs'
complete -c rfctl -n '__rfctl_at ""' -l version -d 'Print the version.'
complete -c rfctl -n '__rfctl_at "demo"' -l keep -d 'Stay until Ctrl-C, for your own curl'
complete -c rfctl -n '__rfctl_at "serve"' -l role -r -f -a 'all webhook processor forwarder' -d 'What it does: all, webhook, processor or forwarder'
complete -c rfctl -n '__rfctl_at "serve"' -l host -x -d 'Address to listen on'
complete -c rfctl -n '__rfctl_at "serve"' -l port -x -d 'Port to listen on; 0 takes a free one'
complete -c rfctl -n '__rfctl_at "serve"' -l rollout -d 'Start beside daemons whose settings do not go with these'
complete -c rfctl -n '__rfctl_at "stats"' -l watch -d 'Show it again every second until Ctrl-C'
complete -c rfctl -n '__rfctl_at "stats"' -l limit -x -d 'How many pending batches to list; with it a terminal shows all, …'
complete -c rfctl -n '__rfctl_at "top"' -l read-only -d 'Show only: no key hands over, discards, holds or pauses'
complete -c rfctl -n '__rfctl_at "find"' -l chat -x -d 'Only what they wrote in this group or thread; ’’ is the one-to-one …'
complete -c rfctl -n '__rfctl_at "doctor"' -l strict -d 'End with 1 for a warning too'
complete -c rfctl -n '__rfctl_at "doctor"' -l probe -d 'Send one message through the running daemon, to no worker, and to no …'
complete -c rfctl -n '__rfctl_at "doctor"' -l report -d 'Print one text for a bug report: no secret, no phone and no message …'
complete -c rfctl -n '__rfctl_at "check"' -s w -l warning -x -d 'Warn if a batch is later than this: 2s, 500ms'
complete -c rfctl -n '__rfctl_at "check"' -s c -l critical -x -d 'Fail if a batch is later than this'
complete -c rfctl -n '__rfctl_at "inspect"' -l chat -x -d 'Only what they wrote in this group or thread; ’’ is the one-to-one …'
complete -c rfctl -n '__rfctl_at "tail"' -l since -x -d 'Begin with the merged messages since then: 30s, 10m, 2h, 1d'
complete -c rfctl -n '__rfctl_at "tail"' -l grep -x -d 'Only events whose text, phone or sink matches, whatever the case (RE2)'
complete -c rfctl -n '__rfctl_at "tail"' -l forward-to -x -d 'POST each merged message there too, unsigned and only once'
complete -c rfctl -n '__rfctl_at "flush"' -l chat -x -d 'Only what they wrote in this group or thread; ’’ is the one-to-one …'
complete -c rfctl -n '__rfctl_at "flush"' -l all -d 'Every pending batch'
complete -c rfctl -n '__rfctl_at "flush"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "discard"' -l chat -x -d 'Only what they wrote in this group or thread; ’’ is the one-to-one …'
complete -c rfctl -n '__rfctl_at "discard"' -l all -d 'Every pending batch'
complete -c rfctl -n '__rfctl_at "discard"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "hold"' -l for -x -d 'How long: 90s, 30m, 2h or 7d'
complete -c rfctl -n '__rfctl_at "hold"' -l note -x -d 'Why, for whoever looks'
complete -c rfctl -n '__rfctl_at "hold"' -l chat -x -d 'In this group or thread, not one to one'
complete -c rfctl -n '__rfctl_at "hold"' -l account -x -d 'Only what was sent to this account, where batching.split_by has it'
complete -c rfctl -n '__rfctl_at "hold"' -l company -x -d 'Only what is this company’s, where batching.split_by has it'
complete -c rfctl -n '__rfctl_at "release"' -l discard -d 'Print what came meanwhile, and throw it away'
complete -c rfctl -n '__rfctl_at "adopt"' -l as -x -d 'Whose a list is, where its name does not tell'
complete -c rfctl -n '__rfctl_at "adopt"' -l watch -x -d 'How long to watch for another writer, seconds'
complete -c rfctl -n '__rfctl_at "adopt"' -l dry-run -d 'Show them, and change nothing'
complete -c rfctl -n '__rfctl_at "adopt"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "forget"' -l stream -d 'Delete entries of the output stream too: nobody reads them any more'
complete -c rfctl -n '__rfctl_at "forget"' -l wait -x -d 'How long to wait for attempts on their way, seconds'
complete -c rfctl -n '__rfctl_at "forget"' -l dry-run -d 'Show what there is, and change nothing'
complete -c rfctl -n '__rfctl_at "forget"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "pause"' -l why -x -d 'What stats shows as the reason'
complete -c rfctl -n '__rfctl_at "pause" 0 0' -f -a '(__rfctl_ask sinks)'
complete -c rfctl -n '__rfctl_at "resume" 0 0' -f -a '(__rfctl_ask sinks)'
complete -c rfctl -n '__rfctl_at "resend"' -l sink -r -f -a '(__rfctl_ask sinks)' -d 'Only to this sink; by default to every sink that rfctl delivers to'
complete -c rfctl -n '__rfctl_at "resend"' -l since -x -d 'All that the sink has finished since then: 2h, 02:00 or a whole time'
complete -c rfctl -n '__rfctl_at "resend"' -l until -x -d 'And up to then; by default up to now'
complete -c rfctl -n '__rfctl_at "resend"' -l dry-run -d 'With --since: count, and send nothing'
complete -c rfctl -n '__rfctl_at "resend"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "simulate"' -l count -x -d 'Messages of each person'
complete -c rfctl -n '__rfctl_at "simulate"' -l interval -x -d 'Seconds between them'
complete -c rfctl -n '__rfctl_at "simulate"' -l phones -x -d 'How many people'
complete -c rfctl -n '__rfctl_at "simulate"' -l phone -x -d 'Send as this person'
complete -c rfctl -n '__rfctl_at "simulate"' -l scenario -r -f -a 'rapid-fire long-pauses overflow' -d 'rapid-fire 8 x 0.1 s, long-pauses, overflow'
complete -c rfctl -n '__rfctl_at "simulate"' -l via -r -f -a 'webhook redis' -d 'How the messages go in; by default the webhook, if it takes generic …'
complete -c rfctl -n '__rfctl_at "simulate"' -l expect-batches -x -d 'Fail unless so many batches are handed over'
complete -c rfctl -n '__rfctl_at "simulate"' -l as -r -f -a '(__rfctl_ask sources)' -d 'Write requests as the provider of this source does, with its proof'
complete -c rfctl -n '__rfctl_at "dead"' -a list -d 'List the newest dead letters, the newest last'
complete -c rfctl -n '__rfctl_at "dead"' -a show -d 'Show a dead letter and the error of every attempt'
complete -c rfctl -n '__rfctl_at "dead"' -a retry -d 'Send dead letters to their sink again, with a full schedule of …'
complete -c rfctl -n '__rfctl_at "dead"' -a drop -d 'Print dead letters, and throw each away as soon as it is printed'
complete -c rfctl -n '__rfctl_at "dead list"' -l sink -r -f -a '(__rfctl_ask sinks)' -d 'Only those of this sink'
complete -c rfctl -n '__rfctl_at "dead list"' -l limit -x -d 'How many, the newest'
complete -c rfctl -n '__rfctl_at "dead show" 0 0' -f -a '(__rfctl_ask dead)'
complete -c rfctl -n '__rfctl_at "dead retry"' -l all -d 'All of them'
complete -c rfctl -n '__rfctl_at "dead retry"' -l sink -r -f -a '(__rfctl_ask sinks)' -d 'Only those of this sink'
complete -c rfctl -n '__rfctl_at "dead retry"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "dead retry" 0 99' -f -a '(__rfctl_ask dead)'
complete -c rfctl -n '__rfctl_at "dead drop"' -l all -d 'All of them'
complete -c rfctl -n '__rfctl_at "dead drop"' -l sink -r -f -a '(__rfctl_ask sinks)' -d 'Only those of this sink'
complete -c rfctl -n '__rfctl_at "dead drop"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "dead drop" 0 99' -f -a '(__rfctl_ask dead)'
complete -c rfctl -n '__rfctl_at "quarantine"' -a list -d 'List the newest requests in quarantine, the newest last, and why …'
complete -c rfctl -n '__rfctl_at "quarantine"' -a show -d 'Show one request as it came, without the provider’s secrets'
complete -c rfctl -n '__rfctl_at "quarantine"' -a retry -d 'Parse requests again with today’s settings'
complete -c rfctl -n '__rfctl_at "quarantine"' -a drop -d 'Print requests, and throw each away as soon as it is printed'
complete -c rfctl -n '__rfctl_at "quarantine list"' -l limit -x -d 'How many, the newest'
complete -c rfctl -n '__rfctl_at "quarantine show"' -l body -d 'Print its body alone, byte for byte'
complete -c rfctl -n '__rfctl_at "quarantine retry"' -l all -d 'All of them'
complete -c rfctl -n '__rfctl_at "quarantine drop"' -l all -d 'All of them'
complete -c rfctl -n '__rfctl_at "quarantine drop"' -l yes -d 'Do not ask'
complete -c rfctl -n '__rfctl_at "source"' -a try -d 'Read a captured request by a source’s settings, and show what would …'
complete -c rfctl -n '__rfctl_at "source try"' -l headers -r -F -d 'The headers that came with it: its proof is tried'
complete -c rfctl -n '__rfctl_at "source try"' -s H -x -d 'One of these headers'
complete -c rfctl -n '__rfctl_at "source try"' -l path -x -d 'The path and query that it came to'
complete -c rfctl -n '__rfctl_at "source try"' -l preset -r -f -a '360dialog bird chatapp chatwoot edna gupshup infobip instagram line messenger slack ultramsg umnico viber vk vonage wassenger wazzup24 whapi zapi zenvia' -d 'Read it by this preset, also where there is no such source'
complete -c rfctl -n '__rfctl_at "source try" 0 0' -f -a '(__rfctl_ask sources)'
complete -c rfctl -n '__rfctl_at "source try" 1 1' -F
complete -c rfctl -n '__rfctl_at "config"' -a show -d 'Show every setting, its value, who set it and what that overrides'
complete -c rfctl -n '__rfctl_at "config"' -a explain -d 'Explain a setting, or a whole source: where each of its keys comes …'
complete -c rfctl -n '__rfctl_at "config"' -a check -d 'Check the settings, and that every source and sink can be set up; …'
complete -c rfctl -n '__rfctl_at "config"' -a path -d 'Print which settings files rfctl reads, and which of them exist'
complete -c rfctl -n '__rfctl_at "config"' -a init -d 'Write a settings file with every default in it, for your user (or to …'
complete -c rfctl -n '__rfctl_at "config show"' -l secrets -d 'Write secrets too: with -o toml and --to FILE'
complete -c rfctl -n '__rfctl_at "config show"' -l to -r -F -d 'Write a new file instead of printing'
complete -c rfctl -n '__rfctl_at "config show"' -l changed -d 'Only the settings that are not as by default'
complete -c rfctl -n '__rfctl_at "config explain" 0 0' -f -a '(__rfctl_setting)'
complete -c rfctl -n '__rfctl_at "config init"' -l source -x -d 'Only a source of this type'
complete -c rfctl -n '__rfctl_at "config init"' -l sink -x -d 'Only a sink of this type'
complete -c rfctl -n '__rfctl_at "config init"' -l stdout -d 'Print it instead of writing it'
complete -c rfctl -n '__rfctl_at "export"' -a unit -d 'Print the systemd unit: rfctl export unit > …'
complete -c rfctl -n '__rfctl_at "export"' -a socket -d 'Print the socket unit, by which a restart loses no webhook: rfctl …'
complete -c rfctl -n '__rfctl_at "export"' -a tmpfiles -d 'Print what makes /run/rfctl at the boot, for a daemon without our …'
complete -c rfctl -n '__rfctl_at "export"' -a alerts -d 'Print the alerts for Prometheus: rfctl export alerts > …'
complete -c rfctl -n '__rfctl_at "export"' -a grafana -d 'Print the dashboard for Grafana, which imports it: rfctl export …'
complete -c rfctl -n '__rfctl_at "export"' -a openapi -d 'Print the OpenAPI document of the daemon’s HTTP routes: rfctl export …'
complete -c rfctl -n '__rfctl_at "export"' -a completion -d 'Print what completes the words of rfctl in a shell'
complete -c rfctl -n '__rfctl_at "export"' -a man -d 'Print a page of the manual, as man -l reads it'
complete -c rfctl -n '__rfctl_at "export"' -a acl -d 'Print the line that makes a user of Redis with the rights that these …'
complete -c rfctl -n '__rfctl_at "export unit"' -l template -d 'The unit for several daemons on one host: rfctl@.service'
complete -c rfctl -n '__rfctl_at "export unit"' -l notify-reload -d 'What it has besides from systemd 253 on'
complete -c rfctl -n '__rfctl_at "export socket"' -l template -d 'The socket for several daemons on one host: rfctl@.socket'
complete -c rfctl -n '__rfctl_at "export completion" 0 0' -f -a 'bash zsh fish'
complete -c rfctl -n '__rfctl_at "export man" 0 0' -f -a '1 5 7'
complete -c rfctl -n '__rfctl_at "export acl"' -l user -x -d 'Name of the user in Redis; without it rfctl, or rfctl-GROUP for …'
complete -c rfctl -n '__rfctl_at "export acl"' -l server -x -d 'Version of Redis: 6.2, 7.0, 7.2 or later'
complete -c rfctl -n '__rfctl_at "export acl"' -l worker -x -d 'Consumer group of your workers: print what rfctl.worker needs instead'
