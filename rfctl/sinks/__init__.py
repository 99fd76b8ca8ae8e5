"""Sinks: each makes one attempt to deliver a merged message. These names are the API for sinks of other packages.

A package registers its sink in the entry point group `rfctl.sinks`: the entry point's name is the type. The object is
called with a `PluginSinkConfig`, and returns a `Sink`:

    class Matrix:
        def __init__(self, config: PluginSinkConfig) -> None:
            self.room = config.options["room"]

        async def open(self) -> None: ...
        async def deliver(self, delivery: Delivery) -> None: ...
        async def close(self) -> None: ...

`deliver` gets a `Delivery`, whose `merged` is the message. `payload` and `encode_payload` give the JSON that the other
sinks send. `deliver` raises `DeliveryError` when the receiver has not taken the message, and the forwarder tries again
later. `open` raises `SettingsError` for options that cannot work.
"""

from rfctl.errors import SettingsError
from rfctl.model.delivery import Delivery
from rfctl.model.stored import Merged, StoredMessage
from rfctl.sinks.contract import DeliveryError, PluginSinkConfig, Sink, SinkSpec
from rfctl.sinks.payload import encode_payload, payload

__all__ = [
    "Delivery",
    "DeliveryError",
    "Merged",
    "PluginSinkConfig",
    "SettingsError",
    "Sink",
    "SinkSpec",
    "StoredMessage",
    "encode_payload",
    "payload",
]
