"""Our contracts beside the maker's own, as shipped with the maker's library: names, sizes, numbers of commands."""

from __future__ import annotations

import pytest
from benchlab_pycore.core.contract import available, contract_for

from benchlab.boards.benchlab import (
    BENCHLAB_2,
    FANS,
    FAULTS,
    INPUTS,
    ORIGINAL,
    PRODUCTS,
    READ_SENSORS,
    WELCOME_TEXT,
    Contract,
    contract_of,
)
from benchlab.boards.command import WELCOME

OURS = [Contract(product, firmware) for product in PRODUCTS.values() for firmware in product.firmware]
PUBLISHED = [contract for contract in OURS if (contract.product.product_id, contract.firmware) in available()]


def named(contract: Contract) -> str:
    return f"{contract.product.name}-{contract.firmware}"


def test_every_published_contract_is_known_and_only_the_first_firmware_is_not_published() -> None:
    ours = {(contract.product.product_id, contract.firmware) for contract in OURS}
    assert ours - set(available()) == {(ORIGINAL.product_id, 1)}
    assert set(available()) - ours == set()


@pytest.mark.parametrize("product_id, firmware", [(0x10, 0), (0x10, 7), (0x11, 2), (0x11, 8), (0x12, 6), (0x0A, 1)])
def test_nobody_s_contract_is_guessed(product_id: int, firmware: int) -> None:
    assert contract_of(product_id, firmware) is None


@pytest.mark.parametrize("ours", PUBLISHED, ids=named)
def test_sizes_and_numbers_are_the_maker_s(ours: Contract) -> None:
    makers = contract_for(ours.product.product_id, ours.firmware)
    assert ours.is_draft == (makers.status == "draft")
    assert ours.frame_size == makers.struct_size("SensorStruct")
    assert len(ours.welcome) == makers.response_size("WELCOME")
    assert ours.welcome.startswith(WELCOME_TEXT)
    assert ours.vendor_data == bytes((makers.vendor_id, makers.product_id, makers.fw_version))
    sizes = {command["opcode"]: command["response_size"] for command in makers.raw["commands"]}
    assert {number: sizes[number] for number in ours.commands} == {
        number: command.reply_size for number, command in ours.commands.items()
    }


@pytest.mark.parametrize("ours", PUBLISHED, ids=named)
def test_allow_list_has_all_that_answers_and_nothing_that_does_not(ours: Contract) -> None:
    makers = contract_for(ours.product.product_id, ours.firmware)
    reading = {
        command["opcode"]
        for command in makers.raw["commands"]
        if command["response_size"] is not None and (command["name"] == "WELCOME" or "READ" in command["name"])
    }
    writing = {
        command["opcode"]
        for command in makers.raw["commands"]
        if command["response"] is None or "WRITE" in command["name"]
    }
    assert set(ours.commands) & writing == set()
    assert reading <= set(ours.commands)
    status = {command["opcode"] for command in makers.raw["commands"] if command["name"] == "STATUS"}
    extra = set(ours.commands) - reading
    assert extra == (set() if ours.is_draft else status)  # a draft may still change


@pytest.mark.parametrize("ours", PUBLISHED, ids=named)
def test_arguments_are_as_many_as_the_maker_counts(ours: Contract) -> None:
    makers = contract_for(ours.product.product_id, ours.firmware)
    requests = {command["opcode"]: command["request"] for command in makers.raw["commands"]}
    assert {number: requests[number].count("[") - 1 for number in ours.commands} == {
        number: command.arguments for number, command in ours.commands.items()
    }


@pytest.mark.parametrize("ours", PUBLISHED, ids=named)
def test_counts_of_sensors_are_the_maker_s(ours: Contract) -> None:
    constants = contract_for(ours.product.product_id, ours.firmware).raw["constants"]
    assert (constants["SENSOR_VIN_NUM"], constants["FAN_NUM"]) == (INPUTS, FANS)
    assert len(ours.product.rails) == constants["SENSOR_POWER_NUM"]
    assert len(ours.product.sensors) == constants["TS_NUM"]


def test_faults_bear_the_maker_s_names_in_the_order_of_the_bits() -> None:
    enum = contract_for(BENCHLAB_2.product_id, BENCHLAB_2.firmware[-1]).enum("FAULT")
    makers = {bit: name.removeprefix("FAULT_").lower() for name, bit in enum.items() if name != "FAULT_NUM"}
    assert list(FAULTS) == [makers[bit] for bit in range(enum["FAULT_NUM"])]


def test_welcome_is_the_one_command_that_all_have() -> None:
    assert all(WELCOME in contract.commands and READ_SENSORS in contract.commands for contract in OURS)
