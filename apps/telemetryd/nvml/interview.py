"""Asks one GPU and remembers which questions it will never answer, so that they are asked only once a session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from telemetryd.nvml.codes import BROKEN, NEVER
from telemetryd.nvml.metrics import Answer, Fields, Question

_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Where a field's value is, by its type (nvmlValueType_t)."""


class Interview:
    """The questions to one GPU in one session. What is not answered is left out; ``why`` says what NVML said last.

    A question that was answered before is asked again whatever NVML says: polled fast, some boards say
    NOT_SUPPORTED now and then. Raises NVMLError only where nothing more will be answered in this session.
    """

    def __init__(self, nvml: Any, gpu: Any) -> None:
        self.why = ""
        self._nvml = nvml
        self._gpu = gpu
        self._never: set[Question | int] = set()
        self._answered: set[Question | int] = set()

    def ask(self, question: Question) -> Answer:
        """Return an answer, empty if there is none."""
        if question in self._never:
            return {}
        try:
            answer = question(self._nvml, self._gpu)
        except self._nvml.NVMLError as error:
            self._refused(question, error)
            return {}
        self._answered.add(question)
        return answer

    def first_of(self, alternatives: Iterable[Question]) -> Answer:
        """Return the answer to the first question that this GPU and driver know."""
        for question in alternatives:
            answer = self.ask(question)
            if self.knows(question):
                return answer
        return {}

    def fields(self, table: Fields) -> Answer:
        """Return the answers to fields, which are asked in one call."""
        numbers = [number for number in table if number not in self._never]
        if not numbers:
            return {}
        try:
            fields = self._nvml.nvmlDeviceGetFieldValues(self._gpu, numbers)
        except self._nvml.NVMLError as error:
            for number in numbers:
                self._refused(number, error)
            return {}
        answer: dict[str, Any] = {}
        for number, field in zip(numbers, fields, strict=True):
            if field.nvmlReturn:
                self._refused(number, self._nvml.NVMLError(field.nvmlReturn))
            else:
                self._answered.add(number)
                answer.update(table[number](getattr(field.value, _MEMBERS[field.valueType])))
        return answer

    def knows(self, question: Question | int) -> bool:
        """Tell whether a question or field has not been refused for good."""
        return question not in self._never

    def _refused(self, question: Question | int, error: Any) -> None:
        if error.value in BROKEN:
            raise error
        if error.value in NEVER and question not in self._answered:
            self._never.add(question)
        self.why = f"NVML {error.value}: {error}"
