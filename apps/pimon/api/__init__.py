"""The HTTP API: what a small host is doing, as JSON, for whoever asks."""
