"""Power of edge devices, served to Prometheus on :9100 and recorded into raw/edgepower.jsonl."""
