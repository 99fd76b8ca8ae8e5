"""A list or a stream in the same Redis."""

from rfctl.sinks.redis.sink import RedisSink

__all__ = ["RedisSink"]
