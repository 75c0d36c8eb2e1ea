"""A GStreamer pipeline with probes on the pads that are stages, run and watched."""
