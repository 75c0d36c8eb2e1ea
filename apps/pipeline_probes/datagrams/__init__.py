"""Stages and bookmarks that programs tell over a datagram socket (docs/STAGES.md)."""
