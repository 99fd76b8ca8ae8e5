"""How long a batch waits, and the loop that hands it over."""
