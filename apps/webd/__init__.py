"""The dashboard and its API on :3010: live rows, sessions, sources, notes."""
