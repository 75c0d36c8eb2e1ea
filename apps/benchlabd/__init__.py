"""BENCHLAB power and thermal readings over USB serial, into raw/benchlab.jsonl."""
