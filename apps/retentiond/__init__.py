"""Trims old sessions: raw data first, the rest later, never what is still needed."""
