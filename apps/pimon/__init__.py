"""pimon: a Raspberry Pi or any small Linux host: its state, its battery and its busiest processes."""
