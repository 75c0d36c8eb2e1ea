"""Host and GPU telemetry, into raw/telemetry.jsonl."""
