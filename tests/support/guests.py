"""Real virtual machines: libvirtd and QEMU (TCG) in namespaces of their own, and guests that do what they are told.

Sockets, state and network of the host are not touched: mounts, network and processes are private, so that everything
ends with the process that holds them. A guest is a Debian cloud kernel with busybox: at its start it writes to its
disk, fills memory and sends packets, as its command line says.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from support.processes import until

DISK_MIB = 64
MEMORY_MIB = 128
PATIENCE_S = 120.0

MODULES = (
    "virtio/virtio_ring",
    "virtio/virtio",
    "virtio/virtio_pci_legacy_dev",
    "virtio/virtio_pci_modern_dev",
    "virtio/virtio_pci",
    "block/virtio_blk",
    "virtio/virtio_balloon",
    "../net/core/failover",
    "net/net_failover",
    "net/virtio_net",
)
"""In the order in which they need each other, below kernel/drivers."""

HOLD = """\
mount --make-rprivate /
for folder in /run/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt; do
    mkdir -p $folder
    mount -t tmpfs tmpfs $folder
done
printf 'user = "root"\\ngroup = "root"\\nsecurity_driver = "none"\\n' >/etc/libvirt/qemu.conf
ip link set lo up
echo ready
while sleep 3600; do :; done
"""
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in MODULES; do /bin/busybox insmod /modules/$module.ko; done
for word in $(/bin/busybox cat /proc/cmdline); do
    case $word in guest.*=*) eval "${word#guest.}" ;; esac
done
/bin/busybox mount -t tmpfs -o size=90% tmpfs /tmp
[ -z "$write_mib" ] || /bin/busybox dd if=/dev/zero of=/dev/vda bs=65536 count=$((write_mib * 16)) oflag=direct
[ -z "$hold_mib" ] || /bin/busybox dd if=/dev/zero of=/tmp/held bs=65536 count=$((hold_mib * 16))
if [ -n "$pings" ]; then
    /bin/busybox ip addr add $address/24 dev eth0
    /bin/busybox ip link set eth0 up
    /bin/busybox ping -c $pings -s 1000 -i 0.1 $gateway
fi
echo "guest: done"
while true; do /bin/busybox sleep 1; done
"""
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check panic=1 ipv6.disable=1 {words}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='ethernet'><target dev='{tap}'/><model type='virtio'/></interface>
    <serial type='file'><source path='{console}'/></serial>
    <memballoon model='virtio'><stats period='1'/></memballoon>
  </devices>
</domain>
"""


@dataclass(frozen=True)
class Kernel:
    """A kernel that guests boot, and the folder of its modules."""

    image: Path
    modules: Path


def find_kernel() -> Kernel | None:
    """Return the newest Debian cloud kernel that is installed, None if there is none."""
    for image in sorted(Path("/boot").glob("vmlinuz-*-cloud-*"), reverse=True):
        modules = Path("/lib/modules") / image.name.removeprefix("vmlinuz-")
        if modules.is_dir():
            return Kernel(image, modules)
    return None


class Guests:
    """A libvirtd with guests; ``uri`` is its read-only socket, ``rw`` an open connection that may do anything."""

    def __init__(self, folder: Path, kernel: Kernel) -> None:
        self._folder = folder
        self._kernel = kernel
        self._sockets = folder / "sockets"
        self._sockets.mkdir()
        self._initrd = make_initrd(folder, kernel)
        self._config = folder / "libvirtd.conf"
        self._config.write_text(f'unix_sock_dir = "{self._sockets}"\nauth_unix_ro = "none"\nauth_unix_rw = "none"\n')
        self._holder = subprocess.Popen(
            ["unshare", "-m", "-n", "-p", "--fork", "--mount-proc", "--kill-child", "bash", "-ec", HOLD],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        self._inner = int(Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()[0])

    def start(self) -> None:
        self._inside("virtlogd", "-d", "-p", str(self._folder / "virtlogd.pid"))
        self.start_libvirtd()

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self._sockets / 'libvirt-sock-ro'}"

    def open(self) -> Any:
        import libvirt

        return libvirt.open(f"qemu+unix:///system?socket={self._sockets / 'libvirt-sock'}")

    def start_libvirtd(self) -> None:
        self._inside("libvirtd", "-d", "-p", str(self._folder / "libvirtd.pid"), "-f", str(self._config))
        until((self._sockets / "libvirt-sock-ro").exists, PATIENCE_S)

    def restart_libvirtd(self) -> None:
        """Kill the daemon and start it anew; guests go on meanwhile."""
        (pid,) = self.pids("libvirtd", "-f", str(self._config))
        os.kill(pid, signal.SIGKILL)
        until(lambda: not self.pids("libvirtd", "-f", str(self._config)))
        self.start_libvirtd()

    def create(self, name: str, number: int, words: str = "") -> Any:
        """Start a guest; ``words`` say what it does, as ``guest.write_mib=8``."""
        disk = self._folder / f"{number}.img"
        with disk.open("wb") as file:
            file.truncate(DISK_MIB << 20)
        text = DOMAIN.format(
            name=escape(name),
            memory_mib=MEMORY_MIB,
            kernel=self._kernel.image,
            initrd=self._initrd,
            words=words,
            disk=disk,
            tap=f"tap{number}",
            console=self._folder / f"{number}.console",
        )
        domain = self.open().defineXML(text)
        domain.create()
        self._inside("ip", "addr", "add", f"10.9.{number}.1/24", "dev", f"tap{number}")
        return domain

    def wait_for(self, number: int) -> None:
        """Wait until a guest has done what it was told."""
        console = self._folder / f"{number}.console"
        until(lambda: console.exists() and b"guest: done" in console.read_bytes(), PATIENCE_S)

    def qemu_pid(self, domain: Any) -> int:
        (pid,) = self.pids("qemu-system-x86_64", "-uuid", domain.UUIDString())
        return pid

    def pids(self, program: str, *words: str) -> list[int]:
        """Return the processes of these namespaces that run a program with these words side by side."""
        mine = Path(f"/proc/{self._inner}/ns/pid").readlink()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                argv = (process / "cmdline").read_bytes().decode().split("\0")
                if (process / "ns/pid").readlink() == mine and Path(argv[0]).name == program and _has(argv, words):
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def end(self) -> None:
        """End everything that was started here: it goes with the first process of its namespace."""
        os.kill(self._inner, signal.SIGKILL)
        self._holder.wait(timeout=30)
        assert self._holder.stdout is not None
        self._holder.stdout.close()

    def _inside(self, *argv: str) -> None:
        enter = ["nsenter", "-t", str(self._inner), "-m", "-n", "-p", "--"]
        # Daemons keep what they inherit: with a pipe, this would wait for their end.
        with (self._folder / "daemons.log").open("ab") as log:
            subprocess.run([*enter, *argv], check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60)


def _has(argv: Sequence[str], words: Sequence[str]) -> bool:
    return any(tuple(argv[n : n + len(words)]) == tuple(words) for n in range(len(argv)))


def make_initrd(folder: Path, kernel: Kernel) -> Path:
    """Make the first file system of the guests: busybox, the modules of their devices, and what they do."""
    tree = folder / "initrd"
    for name in ("bin", "dev", "proc", "tmp", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), tree / "bin/busybox")
    for module in MODULES:
        path = kernel.modules / "kernel/drivers" / f"{module}.ko"
        shutil.copy(path, tree / "modules")
    init = tree / "init"
    init.write_text(INIT.replace("MODULES", " ".join(Path(module).name for module in MODULES)))
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in [tree, *sorted(tree.rglob("*"))])
    done = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=names.encode(), capture_output=True, check=True
    )
    packed = folder / "initrd.gz"
    packed.write_bytes(gzip.compress(done.stdout, 1))
    return packed


@contextmanager
def running_guests(folder: Path, kernel: Kernel) -> Iterator[Guests]:
    """Run a libvirtd without guests."""
    guests = Guests(folder, kernel)
    try:
        guests.start()
        yield guests
    finally:
        guests.end()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
