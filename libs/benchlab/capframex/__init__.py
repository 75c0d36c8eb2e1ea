"""Aligned rows to what CapFrameX imports: frames, power on its grids, CSV and JSON."""
