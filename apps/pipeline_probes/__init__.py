"""Pipeline stage events, into raw/pipeline*.jsonl."""
