"""Writes samples as Prometheus reads them. The only module that knows its library.

Its import takes a tenth of a second, so it is imported at the first scrape, in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from rfctl.model.histogram import Histogram
from rfctl.observe.metrics.families import FAMILIES, Family, Sample

_process = ProcessCollector(registry=None)
"""Memory, CPU time, open files and the start of this process, read at each scrape; nothing where there is no /proc."""


class _Scrape(Collector):
    """The samples of one moment, as the library takes them."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            self._by_name.setdefault(sample.name, []).append(sample)

    def collect(self) -> Iterator[Metric]:
        """Yield the families that have samples, then those of the process."""
        for name, samples in self._by_name.items():
            yield _build_metric(FAMILIES[name], samples)
        yield from _process.collect()


def _build_metric(family: Family, samples: Iterable[Sample]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for sample in samples:
            assert isinstance(sample.value, Histogram)  # noqa: S101 - the families and the samples are ours
            buckets = [(_write_bound(bound), count) for bound, count in sample.value.accumulate()]
            histogram.add_metric(sample.labels, buckets, sample.value.total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for sample in samples:
        assert not isinstance(sample.value, Histogram)  # noqa: S101
        metric.add_metric(sample.labels, sample.value)
    return metric


def _write_bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(float(bound))


def render(samples: Iterable[Sample], accept: str) -> tuple[bytes, str]:
    """Return the page and its content type, in the form that the header Accept asks for."""
    encode, content_type = choose_encoder(accept)
    return encode(_Scrape(samples)), content_type
