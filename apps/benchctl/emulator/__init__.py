"""Power meters that are not there: byte for byte what they answer, on a pty, with what can go wrong."""
