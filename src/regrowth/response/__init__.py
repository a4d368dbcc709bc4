"""How a tumour responded over a series of exams: bidimensional size and RANO 2.0."""

from regrowth.response.assessment import Assessment
from regrowth.response.exam import Exam, ResponseParameters
from regrowth.response.rano import ResponseSummary, assess, response_summary

__all__ = ["Assessment", "Exam", "ResponseParameters", "ResponseSummary", "assess", "response_summary"]
