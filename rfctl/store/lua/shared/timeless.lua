-- Stands for shared/clock in a verb that only reads, and whose answer has no time of its own. Gives: NOW.
local NOW = 0
