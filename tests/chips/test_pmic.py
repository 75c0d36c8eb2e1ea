from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.chips.pmic import estimated_input_w, parse
from support.edge_fixtures import FIXTURES

TEXT = (FIXTURES / "raspberry_pi" / "pi5_pmic_read_adc.txt").read_text()


def test_rails_are_paired_by_name_not_by_number() -> None:
    reading = parse(TEXT)
    assert len(reading.powers_w) == 12
    assert reading.powers_w["VDD_CORE"] == pytest.approx(2.5 * 0.88)
    assert reading.powers_w["0V8_AON"] == pytest.approx(0.005 * 0.8)
    assert reading.output_w == pytest.approx(
        3.7 * 0.01025 + 3.3 * 0.105 + 1.8 * 0.2 + 1.1 * 0.03 + 1.1 * 0.25 + 0.8 * 0.4 + 0.88 * 2.5 + 3.3 * 0.0003
        + 3.3 * 0.0004 + 0.8 * 0.005 + 5.05 * 0.02
    )  # fmt: skip


def test_input_and_clock_cell_have_no_current_and_are_in_no_sum() -> None:
    reading = parse(TEXT)
    assert (reading.volts["EXT5V"], reading.volts["BATT"]) == (5.04, 0.005)
    assert not {"EXT5V", "BATT"} & reading.powers_w.keys()


def test_rail_called_otherwise_by_some_firmware_counts_all_the_same() -> None:
    assert parse(TEXT.replace("0V8_SW_", "0V8_SYS_")).output_w == pytest.approx(parse(TEXT).output_w)


@pytest.mark.parametrize("line", ["VDD_CORE_V volt(15)=0.88000000V", "  VDD_CORE_A current(7)=2.50000000A"])
def test_rail_with_half_its_values_leaves_the_sum_unknown(line: str) -> None:
    reading = parse(TEXT.replace(line, ""))
    assert reading.output_w is None
    assert len(reading.powers_w) == 11


def test_one_line_is_a_reading() -> None:
    reading = parse("EXT5V_V volt(24)=5.06788000V\n")
    assert (reading.volts, reading.output_w) == ({"EXT5V": 5.06788}, None)


@pytest.mark.parametrize("text", ["", 'error=1 error_msg="Command not registered"', "VDD_CORE_A current(7)=2.5V"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected lines such as"):
        parse(text)


@given(st.integers(0, len(TEXT)))
def test_listing_that_is_cut_gives_no_wrong_value(length: int) -> None:
    whole = parse(TEXT)
    try:
        cut = parse(TEXT[:length].rpartition("\n")[0])
    except ValueError:
        return
    assert cut.volts.items() <= whole.volts.items()
    assert cut.amperes.items() <= whole.amperes.items()


def test_estimate_is_more_than_what_is_delivered() -> None:
    assert estimated_input_w(3.0) == pytest.approx(1.1451 * 3.0 + 0.5879)
