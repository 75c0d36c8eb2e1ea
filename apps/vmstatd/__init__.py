"""vmstatd: what the virtual machines of a host use, through libvirt, into raw/vmstat.jsonl."""
