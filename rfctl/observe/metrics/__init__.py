"""What Prometheus scrapes: the families, and the samples of one moment. `exposition` alone knows its library."""

from rfctl.observe.metrics.daemon_facts import DaemonFacts
from rfctl.observe.metrics.families import FAMILIES, Family, Sample
from rfctl.observe.metrics.samples import read_daemon, read_redis

__all__ = ["FAMILIES", "DaemonFacts", "Family", "Sample", "read_daemon", "read_redis"]
