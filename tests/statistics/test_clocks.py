from __future__ import annotations

import numpy as np
import pytest

from regrowth.statistics.clinical import read_clinical
from regrowth.statistics.clocks import after_recurrence, first_event


def table(*rows: tuple[object, ...], names: str = "os_days os_event ttp_days ttp_event recurrence_day"):
    columns = names.split()
    return read_clinical(
        [{"participant_id": f"{k}", **dict(zip(columns, row, strict=True))} for k, row in enumerate(rows)], check_units=False
    )


def test_the_first_of_recurrence_and_death_is_the_cause():
    found = first_event(table((400, 1, 200, 1, 210), (300, 1, 300, 0, None), (500, 0, 480, 0, None)))
    assert found.cause.tolist() == [1, 2, 0]
    assert found.time_days.tolist() == [200, 300, 480]


def test_a_death_long_after_the_last_look_is_censored_at_the_last_look():
    found = first_event(table((900, 1, 200, 0, None), (260, 1, 200, 0, None)))
    assert found.cause.tolist() == [0, 2]
    assert found.time_days.tolist() == [200, 260]
    assert "1 patient(s) died more than 90 days" in found.notes[0]


def test_patients_without_an_endpoint_are_left_out_and_counted():
    found = first_event(table((400, 1, None, None, None), (300, 1, 100, 1, None)))
    assert found.rows.tolist() == [1]
    assert sum(found.excluded.values()) == 1


def test_survival_after_recurrence_starts_at_the_exam():
    found = after_recurrence(table((400, 1, 200, 1, 210), (500, 0, 300, 1, 300), (250, 1, 250, 0, None), (300, 1, 290, 1, 300)))
    assert found.time_days.tolist() == [190, 200]
    assert found.event.tolist() == [True, False]
    assert found.excluded == {"no exam at recurrence": 1, "not observed beyond the recurrence": 1}


def test_without_a_day_of_the_exam_the_clock_starts_at_progression():
    found = after_recurrence(table((400, 1, 200, 1), (300, 1, 300, 0), names="os_days os_event ttp_days ttp_event"))
    assert found.time_days.tolist() == [200]
    assert found.excluded == {"no observed progression": 1}


@pytest.mark.parametrize("names", ["os_days os_event"])
def test_without_progression_columns_nobody_is_left(names):
    found = first_event(table((400, 1), names=names))
    assert len(found.rows) == 0
    assert len(after_recurrence(table((400, 1), names=names)).rows) == 0
    assert isinstance(found.cause, np.ndarray)
