"""What `rfctl doctor` finds out by asking: other databases, this host, receivers, clocks. The rules are in the folder above."""

from rfctl.observe.facts.host import Disk, HostFacts, Machine, read_disk
from rfctl.observe.facts.listener import PortOwner, ask_readiness, find_owner
from rfctl.observe.facts.neighbours import Neighbour, describe_elsewhere, read_neighbours
from rfctl.observe.facts.receivers import Receiver, ReceiverAddress, reach_receivers
from rfctl.observe.facts.shell import Shell

__all__ = [
    "Disk",
    "HostFacts",
    "Machine",
    "Neighbour",
    "PortOwner",
    "Receiver",
    "ReceiverAddress",
    "Shell",
    "ask_readiness",
    "describe_elsewhere",
    "find_owner",
    "reach_receivers",
    "read_disk",
    "read_neighbours",
]
