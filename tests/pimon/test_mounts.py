"""File systems that are shown: those that can be seen, each once."""

from __future__ import annotations

from pimon.mounts import mounted

ROOT = ("/dev/mmcblk0p2", "/", "ext4")
TABLE = b"""\
/dev/mmcblk0p2 / ext4 rw 0 0
/dev/mmcblk0p1 /boot/firmware vfat rw 0 0
/dev/sda1 /home ext4 rw 0 0
/dev/sdb1 /srv/my\\040disk ext4 rw 0 0
"""


def test_every_device_is_shown_once_where_it_is_mounted() -> None:
    bound = b"/dev/mmcblk0p2 /var/log/benchlab ext4 rw 0 0\n"
    found = mounted(TABLE + bound)
    assert [place for _, place, _ in found] == ["/", "/boot/firmware", "/home", "/srv/my disk"]


def test_what_a_sandbox_has_covered_is_absent_and_not_the_size_of_the_cover() -> None:
    """With ProtectHome= a service has an empty folder in memory there."""
    found = mounted(TABLE + b"tmpfs /home tmpfs ro 0 0\n")
    assert [place for _, place, _ in found] == ["/", "/boot/firmware", "/srv/my disk"]


def test_the_root_that_was_there_before_the_real_one_is_not_it() -> None:
    assert mounted(b"rootfs / rootfs rw 0 0\n" + TABLE)[0] == ROOT
