"""What each code of a finding means, and what to do about it. The list of rfctl(7) is made of this."""

from __future__ import annotations

from collections.abc import Mapping

from rfctl.observe.catalogue_of_doctor import EXAMINED
from rfctl.observe.finding import Code, Meaning

CATALOGUE: Mapping[Code, Meaning] = {
    "redis_unusable": Meaning(
        "error",
        "The Redis of the settings is not reached, or refuses rfctl.",
        "Do what the finding says; set_by names who set its address.",
    ),
    "layout_differs": Meaning(
        "error",
        "This Redis is laid out for other settings: another number of shards, or another output stream.",
        "Give this shell the settings of the daemons, or use another redis.prefix.",
    ),
    "daemon_elsewhere": Meaning(
        "error",
        "A daemon runs on another Redis, database or prefix than the one that was looked at, and work is missing here.",
        "Set redis.url and redis.prefix alike; set_by names who set what was used here.",
    ),
    "check_unfinished": Meaning(
        "warning",
        "rfctl doctor could not finish one of its checks in time.",
        "Run it again; if it stays, the finding says what to look at.",
    ),
    "writes_refused": Meaning(
        "error",
        "Redis takes no writes: its memory or disk is full, or it is a replica.",
        "Do what the finding says; nothing else goes on before.",
    ),
    "redis_unseen": Meaning(
        "warning",
        "Redis does not show whether it deletes keys when its memory is full.",
        "Allow INFO, or ask who operates it: maxmemory-policy must be noeviction, or begin with volatile.",
    ),
    "right_missing": Meaning(
        "warning",
        "The user of Redis lacks a right that no message depends on; something cannot be seen.",
        "Run the line that the finding has, or that of rfctl export acl.",
    ),
    "eviction_enabled": Meaning(
        "error",
        "Redis deletes keys when its memory is full, messages too.",
        "Set maxmemory-policy to noeviction, also in redis.conf.",
    ),
    "eviction_partial": Meaning(
        "warning",
        "Redis deletes keys that expire when its memory is full: second ids of people, and older ids. Messages stay.",
        "Set maxmemory-policy to noeviction.",
    ),
    "persistence_disabled": Meaning(
        "warning",
        "Redis keeps no append-only file, so its crash loses messages.",
        "Set appendonly to yes, also in redis.conf.",
    ),
    "aof_torn": Meaning(
        "warning",
        "Redis has started again, and its append-only file may keep a torn end.",
        "Run BGREWRITEAOF before it starts once more, or allow that to rfctl's user.",
    ),
    "redis_emptied": Meaning(
        "error",
        "Somebody emptied this Redis while a daemon ran: what was pending is lost.",
        "Find out who did; then delete the counter as the finding says.",
    ),
    "daemons_unknown": Meaning(
        "warning",
        "Redis refuses writes, so it cannot be told which daemons are alive.",
        "Mend that first.",
    ),
    "processor_missing": Meaning(
        "error",
        "No living daemon hands over what is pending.",
        "Start rfctl serve, in the role all or processor.",
    ),
    "settings_conflict": Meaning(
        "warning",
        "Living daemons on one Redis differ in the output stream, the order or batching.split_by.",
        "Give them the same settings, or another redis.prefix.",
    ),
    "settings_differ": Meaning(
        "warning",
        "Living daemons on one Redis have other timers, another separator or other sinks.",
        "Reload or restart the one with the older file.",
    ),
    "sink_unserved": Meaning(
        "error", "No living daemon delivers to a sink.", "Start rfctl serve, in the role all or forwarder."
    ),
    "sink_paused": Meaning(
        "warning",
        "A sink is paused, by an operator or by its receiver; its messages wait.",
        "rfctl resume NAME, when the receiver takes messages again.",
    ),
    "sink_failing": Meaning(
        "error",
        "A receiver fails; its messages wait for their next attempt.",
        "Mend the receiver; then rfctl resume NAME retries now.",
    ),
    "sink_stalled": Meaning(
        "error",
        "Something is left for a sink, and no attempt has ended for a long time.",
        "Look into the log of its daemon; then start that daemon again.",
    ),
    "sink_foreign": Meaning(
        "warning",
        "A daemon delivers to a sink that these settings do not have.",
        "Use the daemon's settings file: --config FILE.",
    ),
    "messages_missing": Meaning(
        "error",
        "Messages vanished from the output stream before delivery.",
        "Find out who deletes from it; rfctl trims it by itself.",
    ),
    "group_orphaned": Meaning(
        "warning",
        "Messages wait for a sink that is in no settings any more, and block trimming.",
        "Add the sink again, or delete its group and keys as the finding says.",
    ),
    "group_unread": Meaning(
        "warning",
        "No worker asks for what is left of a consumer group: in the stream, which blocks trimming, or sent again.",
        "Start its workers. To give them up, take the sink out of the settings first, then destroy the group.",
    ),
    "group_full": Meaning(
        "warning",
        "Workers have 10,000 messages in hand, and take no new one. Most wait behind a message that fails or takes long.",
        "See in the workers' log what fails or takes long. After max_attempts it is a dead letter.",
    ),
    "again_unread": Meaning(
        "warning",
        "Dead letters were sent again to a group whose program reads the output stream alone: nobody handles them.",
        "Let it read rfctl:worker:GROUP:again too, as the page on workers in Node shows, or start a worker of rfctl.worker.",
    ),
    "stream_unread": Meaning(
        "warning",
        "No group reads the output stream, so it grows for ever.",
        "Add a sink, or one of type stream with the group of your workers.",
    ),
    "batch_set_aside": Meaning(
        "error",
        "A batch cannot be handed over; it is tried again every 30 s.",
        "Look at it with rfctl inspect, and report it as a bug.",
    ),
    "hold_forgotten": Meaning(
        "warning",
        "A person is held for more than three days, so the bot gets nothing of them.",
        "If nobody talks to them any more, release them with rfctl release.",
    ),
    "batches_missing": Meaning(
        "error",
        "Pending batches had vanished when they were due.",
        "Find the program that deletes or renames these keys; give it another database, or rfctl a redis.prefix.",
    ),
    "lists_unclaimed": Meaning(
        "warning",
        "Another program wrote lists of messages, which nobody hands over.",
        "Stop that program; then rfctl adopt takes the lists in.",
    ),
    "requests_rejected": Meaning(
        "warning",
        "Of a source's requests within 10 minutes, at least 10 and a tenth were rejected; or all since the last good one.",
        "Compare its secrets with the provider's; the log has the reason (request_rejected, signature_rejected).",
    ),
    "dead_letters": Meaning(
        "warning",
        "Messages that a sink did not take at any attempt wait for an operator.",
        "rfctl dead list; then rfctl dead retry or rfctl dead drop.",
    ),
    "quarantined_requests": Meaning(
        "warning",
        "Requests that rfctl could not parse wait for an operator.",
        "rfctl quarantine list; then rfctl quarantine retry or rfctl quarantine drop.",
    ),
    "reload_refused": Meaning(
        "warning",
        "A daemon has refused its new settings, and runs on the old ones.",
        "Mend them with rfctl config check, and reload again.",
    ),
    "settings_edited": Meaning(
        "warning",
        "A settings file has changed since its daemon read it.",
        "rfctl config check, then reload.",
    ),
    "log_lines_lost": Meaning(
        "warning",
        "A daemon has lost lines of its log.",
        "See who reads its stderr, and whether the disk of the log is full.",
    ),
    **EXAMINED,
}
