"""What `rfctl doctor` finds out by asking: other databases, this host, receivers, clocks. The rules are in the folder above."""

from rfctl.observe.facts.host import Disk, HostFacts, Machine, read_disk
from rfctl.observe.facts.listener import ListenerAnswer, read_listener
from rfctl.observe.facts.neighbours import Neighbour, describe_elsewhere, describe_listener, read_neighbours
from rfctl.observe.facts.probe import ProbeAnswer, ProbedLink, ProbeReport, ask_probe
from rfctl.observe.facts.receivers import Receiver, ReceiverAddress, reach_receivers
from rfctl.observe.facts.shell import OpenSource, Shell, UnsetCompany

__all__ = [
    "Disk",
    "HostFacts",
    "ListenerAnswer",
    "Machine",
    "Neighbour",
    "OpenSource",
    "ProbeAnswer",
    "ProbeReport",
    "ProbedLink",
    "Receiver",
    "ReceiverAddress",
    "Shell",
    "UnsetCompany",
    "ask_probe",
    "describe_elsewhere",
    "describe_listener",
    "reach_receivers",
    "read_disk",
    "read_listener",
    "read_neighbours",
]
