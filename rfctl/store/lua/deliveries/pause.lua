-- flags=allow-oom: a few bytes, without which a receiver that wants nothing is asked again
-- Pauses a sink on every daemon.
-- KEYS  1 paused (hash, sink → why, as JSON)
-- ARGV  1 sink   2 why, as JSON
-- Returns 1.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
