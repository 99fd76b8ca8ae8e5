"""What `rfctl doctor` finds out by asking: other databases, this host, receivers, clocks. The rules are in the folder above."""

from rfctl.observe.facts.neighbours import Neighbour, read_neighbours
from rfctl.observe.facts.shell import Shell

__all__ = ["Neighbour", "Shell", "read_neighbours"]
