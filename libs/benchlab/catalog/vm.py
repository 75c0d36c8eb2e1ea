"""Signals of virtual machines as vmstatd records them, one event a machine, and what vmstatd tells of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from benchlab.catalog.signal import InfluxType, Row, Signal, numbers

VM = "vm.libvirt"
SELF = "self.vm"
ALWAYS = ("vmid", "name", "state")
"""What every event has, whatever ``[vmstatd].fields`` says: without it nobody knows whose it is."""

_PREFIX = "benchlab_vm_"

_INFO: tuple[tuple[str, InfluxType, str], ...] = (
    ("vmid", "integer", "Number of the machine's present or last run on its host; 0 where none was seen"),
    ("name", "string", "Name of the machine"),
    ("state", "string", "running, blocked, paused, shutdown, stopped, crashed, suspended or unknown"),
    ("memory_used_from", "string", "What memory_used_kb was taken from: guest, rss or balloon"),
)
_SIZES: tuple[Row, ...] = (
    ("cpu_count", "", "cpus", "Virtual processors of the machine"),
    ("memory_max_kb", "KiB", "memory_limit_bytes", "Most memory the machine may have"),
    ("memory_used_kb", "KiB", "memory_used_bytes", "Memory in use: as the guest says, else as its host sees it"),
    ("balloon_kb", "KiB", "memory_balloon_bytes", "Memory that the balloon leaves to the guest"),
    ("rss_kb", "KiB", "memory_resident_bytes", "Memory of the host that the machine's process holds"),
    ("guest_available_kb", "KiB", "guest_memory_bytes", "Memory that the guest's kernel manages"),
    ("guest_unused_kb", "KiB", "guest_memory_unused_bytes", "Memory of the guest that holds nothing, not even cache"),
    ("guest_usable_kb", "KiB", "guest_memory_usable_bytes", "Memory that programs of the guest can still get"),
)
_COUNTS: tuple[Row, ...] = (
    ("swap_in_kb", "KiB", "swap_in_bytes_total", "Memory that the guest read back from its swap space"),
    ("swap_out_kb", "KiB", "swap_out_bytes_total", "Memory that the guest wrote to its swap space"),
    ("major_faults", "", "major_faults_total", "Page faults of the guest that had to wait for a disk"),
    ("minor_faults", "", "minor_faults_total", "Page faults of the guest that had not"),
    ("cputime_ns", "ns", "cpu_seconds_total", "Processor time of the host that the machine used"),
    ("cpu_user_ns", "ns", "cpu_user_seconds_total", "Of it, time in user mode of the host"),
    ("cpu_system_ns", "ns", "cpu_system_seconds_total", "Of it, time in the host's kernel"),
    ("vcpu_wait_ns", "ns", "cpu_wait_seconds_total", "Time the virtual processors waited for input or output"),
    ("vcpu_delay_ns", "ns", "cpu_delay_seconds_total", "Time they were ready and got no processor of the host"),
    ("block_rd_bytes", "B", "block_read_bytes_total", "Bytes read from all disks"),
    ("block_wr_bytes", "B", "block_written_bytes_total", "Bytes written to all disks"),
    ("block_rd_reqs", "", "block_reads_total", "Read requests to all disks"),
    ("block_wr_reqs", "", "block_writes_total", "Write requests to all disks"),
    ("block_rd_time_ns", "ns", "block_read_seconds_total", "Time that read requests took together"),
    ("block_wr_time_ns", "ns", "block_write_seconds_total", "Time that write requests took together"),
    ("block_fl_reqs", "", "block_flushes_total", "Flush requests to all disks"),
    ("block_fl_time_ns", "ns", "block_flush_seconds_total", "Time that flush requests took together"),
    ("net_rx_bytes", "B", "network_receive_bytes_total", "Bytes received by all interfaces, as the guest sees it"),
    ("net_tx_bytes", "B", "network_transmit_bytes_total", "Bytes sent by all interfaces, as the guest sees it"),
    ("net_rx_pkts", "", "network_receive_packets_total", "Packets received by all interfaces"),
    ("net_tx_pkts", "", "network_transmit_packets_total", "Packets sent by all interfaces"),
    ("net_rx_errs", "", "network_receive_errors_total", "Errors when receiving"),
    ("net_tx_errs", "", "network_transmit_errors_total", "Errors when sending"),
    ("net_rx_drop", "", "network_receive_drops_total", "Packets to the guest that were dropped"),
    ("net_tx_drop", "", "network_transmit_drops_total", "Packets of the guest that were dropped"),
)
_RATES: tuple[Row, ...] = (
    ("cpu_pct", "%", "cpu_utilization_ratio", "Processor time a time since the sample before; 100 is one of the host"),
    ("vcpu_wait_pct", "%", "cpu_wait_ratio", "Waiting of the virtual processors for input or output; 100 is one"),
    ("vcpu_delay_pct", "%", "cpu_delay_ratio", "Ready virtual processors without one of the host; 100 is one"),
    ("block_rd_bytes_s", "B/s", "block_read_bytes_per_second", "Bytes read a second"),
    ("block_wr_bytes_s", "B/s", "block_written_bytes_per_second", "Bytes written a second"),
    ("block_rd_reqs_s", "/s", "block_reads_per_second", "Read requests a second"),
    ("block_wr_reqs_s", "/s", "block_writes_per_second", "Write requests a second"),
    ("block_latency_ms", "ms", "block_latency_seconds", "Mean time that a read or write request took"),
    ("net_rx_bytes_s", "B/s", "network_receive_bytes_per_second", "Bytes received a second"),
    ("net_tx_bytes_s", "B/s", "network_transmit_bytes_per_second", "Bytes sent a second"),
    ("swap_in_kb_s", "KiB/s", "swap_in_bytes_per_second", "Memory the guest read back from swap a second"),
    ("swap_out_kb_s", "KiB/s", "swap_out_bytes_per_second", "Memory the guest wrote to swap a second"),
    ("memory_rate_kb_per_sec", "KiB/s", "memory_rate_bytes_per_second", "Growth of the memory in use"),
    ("memory_angle_deg", "°", "memory_angle_degrees", "Its growth as an angle: the arc tangent of the rate in KiB/s"),
)
_TABLES = {
    "vcpus": "One row per virtual processor of a machine that runs",
    "blocks": "One row per disk",
    "nets": "One row per network interface",
}
_VCPU = (
    ("time_ns", "ns", "Processor time of the host that it used"),
    ("wait_ns", "ns", "Time it waited for input or output"),
    ("delay_ns", "ns", "Time it was ready and got no processor of the host"),
)
_SELF: tuple[Row, ...] = (
    ("total_collections", "", "collections_total", "Polls of the hypervisor, failed ones included"),
    ("total_errors", "", "collector_errors_total", "Polls that failed, and machines that did not answer"),
    ("total_metrics_written", "", "metrics_written_total", "Events of machines, and one more for each with features"),
)
_SELF_TIMES: tuple[Row, ...] = (
    ("started_at_ns", "ns", "collector_started_timestamp_seconds", "When collection started"),
    ("last_collection_time_ns", "ns", "collector_last_collection_timestamp_seconds", "Last poll that succeeded"),
    ("vms_monitored", "", "monitored", "Machines that run and were read in the last poll"),
)


def field_names() -> tuple[str, ...]:
    """Return every key of an event of a machine, tables as a whole: what ``fields`` and ``every`` may name."""
    return tuple(signal.key for signal in _machine() if "." not in signal.key)


def unknown_fields(patterns: Iterable[str]) -> list[str]:
    """Return the names, or patterns with ``*``, that fit no key of a machine's event."""
    names = field_names()
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def _machine() -> Iterator[Signal]:
    for key, influx, text in _INFO:
        yield Signal(VM, key, "", "info", text, influx=influx)
    yield from numbers(VM, "gauge", _PREFIX, _SIZES, "integer")
    yield from numbers(VM, "counter", _PREFIX, _COUNTS, "integer")
    yield from numbers(VM, "gauge", _PREFIX, _RATES)
    for table, text in _TABLES.items():
        yield Signal(VM, table, "", "table", text)
    yield Signal(VM, "vcpus.id", "", "info", "Number of the virtual processor", influx="integer")
    yield Signal(VM, "vcpus.state", "", "state", "offline, running or blocked", influx="string")
    for key, unit, text in _VCPU:
        yield Signal(VM, f"vcpus.{key}", unit, "counter", text, influx="integer")
    for table, prefix in (("blocks", "block_"), ("nets", "net_")):
        yield Signal(VM, f"{table}.name", "", "info", "Its name on the host, such as vda or vnet0", influx="string")
        for key, unit, _, text in _COUNTS:
            if key.startswith(prefix):
                column = f"{table}.{key.removeprefix(prefix)}"
                yield Signal(VM, column, unit, "counter", f"{text}, one by one", influx="integer")


def signals() -> Iterator[Signal]:
    """Yield every signal of a virtual machine, and vmstatd's own figures."""
    yield from _machine()
    yield from numbers(SELF, "counter", _PREFIX, _SELF, "integer")
    yield from numbers(SELF, "gauge", _PREFIX, _SELF_TIMES, "integer")
