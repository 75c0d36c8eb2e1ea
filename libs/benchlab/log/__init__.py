"""The session's log: appending lines to a stream and following one."""
