"""Raw streams to one timeline: merge, pair, annotate, write, and serve /metrics."""
