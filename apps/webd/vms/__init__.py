"""Virtual machines over HTTP: what each does now, what it did, and what its numbers say."""
