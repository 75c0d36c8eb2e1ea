"""Chips that several boards carry, register by register; a bus or a text goes in as an argument."""
