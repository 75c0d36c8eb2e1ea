"""Reading what a session has recorded."""
