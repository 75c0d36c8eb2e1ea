"""What was recorded: sessions, their latency and signals over any stretch of time, and files to take away."""
