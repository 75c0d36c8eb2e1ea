"""Aligned latency to CapFrameX CSV and JSON."""
