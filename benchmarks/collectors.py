"""telemetryd and benchlabd beside other programs that watch a host, all ten times a second, at the same time."""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks.board import emulated
from benchmarks.daemons import START_S, Daemons, Scraper, free_port
from benchmarks.measure import Load, Watched
from benchmarks.peers import NODE_EXPORTER, NodeExporter, collectd, plain
from benchmarks.table import Section

SETTLE_S = 3.0
PLAIN = "plain Python, psutil and json"


def collectors(seconds: float) -> list[Section]:
    """Watch all of them and compare."""
    with ExitStack() as stack, Daemons() as daemons:  # the program ends before its board
        daemons.start("telemetryd")
        link = stack.enter_context(emulated(daemons.root.with_suffix(".ttyACM0")))
        daemons.start("benchlabd", "--device", str(link))
        daemons.processes[PLAIN] = plain(daemons.root)
        if (collected := collectd(daemons.root)) is not None:
            daemons.processes["collectd"] = collected
        if (exporter := NodeExporter.begin()) is not None:
            daemons.processes[NODE_EXPORTER] = exporter.process
        time.sleep(min(SETTLE_S, seconds))
        scraped = exporter.scrapes if exporter is not None else 0
        watched = {name: Watched(process.pid) for name, process in daemons.processes.items()}
        time.sleep(seconds)
        used = {name: one.load() for name, one in watched.items()}
        if exporter is not None:
            scraped = exporter.scrapes - scraped
            exporter.end()
    return [section(used, seconds, scraped / seconds), edge(seconds)]


def edge(seconds: float) -> Section:
    """Watch the exporter of edge devices at one reading and one scrape a second."""
    port = free_port()
    with Daemons() as daemons:
        document = ("--device-config", str(daemons.root / "config.yaml"))
        daemons.start("edgepower", "--simulate", *document, "--port", str(port), "--reload-port", str(free_port()))
        wait_for(port)
        watched, scraper = Watched(daemons.processes["edgepower"].pid), Scraper(port)
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            scraper.scrape()
            time.sleep(min(1.0, left_s))
        load = watched.load()
    rows = [["edgepower", f"{load.cpu_pct:.2f}", f"{load.rss_mib:.1f}", f"{load.peak_mib:.1f}"]]
    note = (
        f"A simulated Jetson, read, recorded and scraped once a second for {seconds:g} s. Asked: under 1 % of a core "
        "and 30 MiB."
    )
    columns = ["program", "% of a core", "RSS MiB", "peak MiB"]
    return Section("Edge exporter", columns, rows, [note], {"edgepower": vars(load)})


def wait_for(port: int) -> None:
    """Wait until a program answers. Raises ConnectionRefusedError if it does not."""
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            return Scraper(port).connect()
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


def section(used: dict[str, Load], seconds: float, scrapes_s: float) -> Section:
    ours = used["telemetryd"]
    rows = [row(name, load, ours) for name, load in used.items()]
    notes = [
        f"The same host at 10 Hz at the same time, for {seconds:g} s: processor, load, memory, network, disks. "
        "telemetryd also reads power and temperature sensors where there are any, locks and syncs its file, numbers "
        "its lines and follows its session. benchlabd reads an emulated BENCHLAB, which is not counted. Asked of a "
        "collector: under 1 % of a core and 30 MiB."
    ]
    if scrapes_s:
        notes.append(f"{NODE_EXPORTER} was scraped {scrapes_s:.1f} times a second; the scraper is not counted.")
    columns = ["program", "% of a core", "RSS MiB", "peak MiB", "CPU / telemetryd", "RSS / telemetryd"]
    return Section("Collectors", columns, rows, notes, {name: vars(load) for name, load in used.items()})


def row(name: str, load: Load, ours: Load) -> list[str]:
    ratios = (ratio(load.cpu_pct, ours.cpu_pct), ratio(load.rss_mib, ours.rss_mib))
    shown = ["-" if found is None else f"{found:.2f}" for found in ratios]
    return [name, f"{load.cpu_pct:.2f}", f"{load.rss_mib:.1f}", f"{load.peak_mib:.1f}", *shown]


def ratio(a: float, b: float) -> float | None:
    """Return a / b; None where so little was watched that the kernel counted nothing."""
    return a / b if b else None
