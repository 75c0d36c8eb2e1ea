"""The facts a session records of its host, from recorded trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchlab.host.identity import host_facts

NVIDIA = """\
Model: 		 NVIDIA GeForce RTX 4090
IRQ:   		 155
GPU UUID: 	 GPU-6a2f0000-0000-0000-0000-000000000000
"""
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.154.05  Thu Dec 28 15:37:48 UTC 2023\nGCC version: gcc\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def card(number: int, driver: str, pci_id: str, kind: str = "0x030000") -> dict[str, str]:
    folder = f"sys/class/drm/card{number}/device"
    return {f"{folder}/class": f"{kind}\n", f"{folder}/uevent": f"DRIVER={driver}\nPCI_CLASS=30000\nPCI_ID={pci_id}\n"}


def test_a_bare_tree_gives_only_what_the_kernel_itself_says(tmp_path: Path) -> None:
    assert set(host_facts(tmp_path)) == {"hostname", "kernel", "machine", "cpus"}


@pytest.mark.parametrize(("version", "driver"), [(CLOSED, "nvidia 535.154.05"), (OPEN, "nvidia 560.35.03")])
def test_nvidia_card_and_driver_of_either_kernel_module(tmp_path: Path, version: str, driver: str) -> None:
    files = {"proc/driver/nvidia/gpus/0000:01:00.0/information": NVIDIA, "proc/driver/nvidia/version": version}
    facts = host_facts(write(tmp_path, files))
    assert (facts["gpu"], facts["gpu_driver"]) == ("NVIDIA GeForce RTX 4090", driver)


def test_driver_whose_version_is_gone_is_named_without_one(tmp_path: Path) -> None:
    facts = host_facts(write(tmp_path, {"proc/driver/nvidia/gpus/0000:01:00.0/information": NVIDIA}))
    assert facts["gpu_driver"] == "nvidia"


def test_two_cards_are_both_named(tmp_path: Path) -> None:
    files = {**card(0, "i915", "8086:4680"), **card(1, "amdgpu", "1002:73BF")}
    facts = host_facts(write(tmp_path, files))
    assert (facts["gpu"], facts["gpu_driver"]) == ("PCI 8086:4680 + PCI 1002:73bf", "amdgpu, i915")


def test_a_card_that_knows_its_name_is_called_by_it(tmp_path: Path) -> None:
    files = card(0, "amdgpu", "1002:744C") | {"sys/class/drm/card0/device/product_name": "Radeon PRO W7900\n"}
    assert host_facts(write(tmp_path, files))["gpu"] == "Radeon PRO W7900"


def test_what_drives_no_display_is_no_graphics_card(tmp_path: Path) -> None:
    assert "gpu" not in host_facts(write(tmp_path, card(0, "nouveau", "10de:1234", kind="0x120000")))


def test_motherboard_is_maker_and_model(tmp_path: Path) -> None:
    dmi = "sys/class/dmi/id"
    files = {f"{dmi}/board_vendor": "ASUSTeK COMPUTER INC.\n", f"{dmi}/board_name": "ROG STRIX X670E-F\n"}
    assert host_facts(write(tmp_path, files))["motherboard"] == "ASUSTeK COMPUTER INC. ROG STRIX X670E-F"


def test_what_a_maker_forgot_to_fill_in_is_not_a_name(tmp_path: Path) -> None:
    dmi = "sys/class/dmi/id"
    files = {f"{dmi}/board_vendor": "To Be Filled By O.E.M.\n", f"{dmi}/board_name": "Default string\n"}
    assert "motherboard" not in host_facts(write(tmp_path, files))


def test_board_without_dmi_is_named_by_its_device_tree(tmp_path: Path) -> None:
    root = write(tmp_path, {"sys/firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    assert host_facts(root)["motherboard"] == "Raspberry Pi 5 Model B Rev 1.0"
