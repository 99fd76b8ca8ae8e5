"""The last hand-over of a daemon that stops."""

from __future__ import annotations

import structlog

from rfctl.daemon.components import Components

_log = structlog.get_logger("daemon")


async def hand_over_rest(components: Components, daemon_id: str) -> None:
    """Hand over what is due, and the rest too if no other daemon would and the settings say so. Raises RfctlError."""
    turn = await components.scheduler.step()
    alive = await components.store.daemons.list_alive()
    others = [record for record in alive if record.is_scheduler and record.id != daemon_id]
    if components.settings.daemon.drain == "due" or others:
        left_pending = turn.next_due_ms is not None
        _log.info("daemon_stopped", left_pending=left_pending, other_schedulers=len(others))
        return
    count, more = 0, True
    while more:
        drained = await components.store.batches.drain("shutdown")
        count, more = count + drained.batches, drained.more
    _log.info("daemon_stopped", handed_over=count)
