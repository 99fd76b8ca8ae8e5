"""What each code means that `doctor` and `check` alone find, or that came with them."""

from __future__ import annotations

from collections.abc import Mapping

from rfctl.model.token import MIN_TOKEN_CHARS, RECIPE
from rfctl.observe.finding import Code, Meaning

EXAMINED: Mapping[Code, Meaning] = {
    "daemon_twin": Meaning(
        "warning",
        "A daemon on another Redis or database runs on the very settings of the daemons here.",
        "If they are to be one rfctl, set redis.url alike; if not, give it a redis.prefix or settings of its own.",
    ),
    "daemon_hung": Meaning(
        "error",
        "A daemon of this host takes connections and does not answer, or is stopped by a signal.",
        "Let it go on (kill -CONT), or start it again.",
    ),
    "daemon_unready": Meaning(
        "error",
        "The daemon of this host says itself that it is not ready, and why.",
        "Do what the finding says; the section about readiness explains the word.",
    ),
    "settings_unlike": Meaning(
        "warning",
        "A daemon runs on other settings than the shell that asks.",
        "Use its file with --config, or let it reload.",
    ),
    "versions_differ": Meaning(
        "warning",
        "Living daemons on one Redis are of several versions.",
        "Start those of the older version again, with the newer one.",
    ),
    "batches_overdue": Meaning(
        "warning",
        "Batches are overdue although a processor lives.",
        "Look into its log, and how fast Redis answers.",
    ),
    "entries_redelivered": Meaning(
        "warning",
        "Workers got an entry of the stream more than three times, and have not acknowledged it.",
        "See why they fail at it. With rfctl.worker it becomes a dead letter by itself.",
    ),
    "entries_unacknowledged": Meaning(
        "warning",
        "Workers have had entries of the stream for more than ten minutes.",
        "Let a living worker claim what a dead one had. Workers that use rfctl.worker do so by themselves: start them.",
    ),
    "memory_low": Meaning(
        "warning",
        "The memory of Redis is nearly full.",
        "Raise maxmemory, or find who fills it.",
    ),
    "clients_low": Meaning(
        "warning",
        "Redis takes few more clients.",
        "Raise maxclients, or find who connects.",
    ),
    "keys_evicted": Meaning(
        "warning",
        "Redis has evicted keys since its start.",
        "Raise maxmemory, and set maxmemory-policy to noeviction.",
    ),
    "fsync_disabled": Meaning(
        "warning",
        "Redis never calls fsync, so a crash of its host loses up to half a minute.",
        "Set appendfsync to everysec.",
    ),
    "save_failed": Meaning(
        "warning",
        "The last save or rewrite of Redis failed.",
        "Make room on its disk; its log says more.",
    ),
    "redis_slow": Meaning(
        "warning",
        "Redis takes more than 20 ms to answer, in the median of 20 questions.",
        "Look at its slow log, and at the network between.",
    ),
    "settings_unusable": Meaning(
        "error",
        "A source or a sink cannot be set up on this host: a file, a program or an extra is missing.",
        "Do what the finding says; rfctl config check says the same.",
    ),
    "sink_unreachable": Meaning(
        "error",
        "The receiver of a sink cannot be reached from this host: no connection, or TLS fails.",
        "Mend the receiver, its certificate or its address.",
    ),
    "sink_behind": Meaning(
        "warning",
        "A sink had something left for a whole minute, and delivered less in it than was handed over.",
        "Use a faster receiver, or raise sinks.NAME.concurrency.",
    ),
    "deliveries_stuck": Meaning(
        "error",
        "Messages were read for a sink more than ten minutes ago, and were neither tried nor put off.",
        "Start its daemon again: it begins with them. Where another program read them, claim them first.",
    ),
    "certificate_ending": Meaning(
        "warning",
        "The certificate of a receiver ends within two weeks.",
        "Renew it before.",
    ),
    "path_unknown": Meaning(
        "warning",
        "Requests came for a source that is not there, at least three within ten minutes.",
        "Correct the address that the sender calls, or add the source.",
    ),
    "source_open": Meaning(
        "warning",
        "A source takes unverified requests, and other machines reach the listener.",
        "Set its secrets, or let the listener serve this machine only.",
    ),
    "token_short": Meaning(
        "warning",
        f"A token has fewer than {MIN_TOKEN_CHARS} characters: somebody may guess it.",
        f"Make another with {RECIPE}, and restart every daemon.",
    ),
    "company_unset": Meaning(
        "warning",
        "A source has no company, and a sink makes a name of the company: some messages go to a name with none in it.",
        "Set the company of the source, or take {company} out of the name.",
    ),
    "clock_differs": Meaning(
        "warning",
        "The clocks of Redis and of this host differ by more than two seconds.",
        "Let NTP set both.",
    ),
    "sink_clock_differs": Meaning(
        "warning",
        "The clocks of a receiver and of this host differ by more than two seconds.",
        "Let NTP set both.",
    ),
    "port_taken": Meaning(
        "error",
        "Another program has the address of the listener, and no daemon listens.",
        "End it, or set http.port.",
    ),
    "disk_low": Meaning(
        "warning",
        "The disk of Redis, on this host, is nearly full.",
        "Make room; without it Redis refuses every write.",
    ),
    "secrets_readable": Meaning(
        "warning",
        "A settings file holds secrets, and every user of the host can read it.",
        "chmod o-r FILE.",
    ),
    "variable_ignored": Meaning(
        "warning",
        "REDIS_URL is set, and rfctl does not use it.",
        "Unset it, or set RFCTL_REDIS__URL.",
    ),
    "files_limited": Meaning(
        "warning",
        "A daemon may open fewer than 1024 files.",
        "Set LimitNOFILE in its unit.",
    ),
    "unit_differs": Meaning(
        "warning",
        "An installed unit of systemd lacks directives that the one of this version has.",
        "Print it again with rfctl export unit, or export socket.",
    ),
    "overcommit_disabled": Meaning(
        "warning",
        "The kernel may refuse memory to a Redis on this host that saves.",
        "Set vm.overcommit_memory to 1.",
    ),
    "huge_pages_enabled": Meaning(
        "warning",
        "Transparent huge pages slow down a Redis on this host.",
        "Set them to madvise.",
    ),
    "lists_stray": Meaning(
        "warning",
        "Lists of messages are in no index, so nobody hands them over.",
        "rfctl adopt takes them in.",
    ),
    "entries_stray": Meaning(
        "warning",
        "Entries of the index have no list.",
        "A daemon takes them out; find out who deletes keys of rfctl.",
    ),
    "sink_stray": Meaning(
        "warning",
        "Keys of a sink are left that no settings and no daemon have.",
        "Add the sink again, or delete its keys as the finding says.",
    ),
    "group_stray": Meaning(
        "warning",
        "Workers left keys of a consumer group that is gone. Dead letters sent again may wait there.",
        "Start workers of the group again, or delete its keys as the finding says.",
    ),
    "probe_unanswered": Meaning(
        "error",
        "With --probe: a daemon of this host took no message of ours.",
        "Start it, or give the shell its http.admin_token.",
    ),
    "probe_failed": Meaning(
        "error",
        "With --probe: our message ended at the link that the finding names.",
        "Do what the finding says; where a sink is named, mend its receiver.",
    ),
    "key_taken": Meaning(
        "error",
        "A key of rfctl holds a value of another kind, which another program wrote.",
        "Rename it away as the finding says, and let the other program use other names.",
    ),
    "record_key_taken": Meaning(
        "warning",
        "Another program wrote the delivery log, or another key that only watchers need: nothing is recorded there.",
        "Rename it away as the finding says. No message depends on it.",
    ),
}
