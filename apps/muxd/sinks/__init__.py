"""Sinks: readers of the log that keep its rows elsewhere, each at its own pace and with its own cursor."""
