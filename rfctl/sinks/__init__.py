"""Ways out: one file a type of sink."""
