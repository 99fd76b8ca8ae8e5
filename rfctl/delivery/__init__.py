"""Output stream to sink: in order, at least once, with a schedule of retries."""
