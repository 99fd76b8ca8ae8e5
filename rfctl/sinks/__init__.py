"""Sinks, a folder a type. These names are also the API for sinks of other packages."""

from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError, PluginSinkConfig, Sink, SinkSpec
from rfctl.sinks.payload import encode_payload, payload

__all__ = ["Delivery", "DeliveryError", "PluginSinkConfig", "Sink", "SinkSpec", "encode_payload", "payload"]
