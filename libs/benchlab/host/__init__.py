"""Readers of a Linux host; each takes a root, a prefix for /proc and /sys."""
