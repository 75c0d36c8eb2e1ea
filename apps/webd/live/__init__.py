"""The rows of a session as they come: one tail a session, however many look on."""
