"""How a tumour responded over a series of exams: bidimensional size and RANO 2.0."""

from regrowth.response.assessment import Assessment
from regrowth.response.diameters import (
    BidimensionalSize,
    SumOfProducts,
    bidimensional_product,
    lesion_sizes,
    sum_of_products,
)
from regrowth.response.exam import Exam, ResponseParameters
from regrowth.response.rano import ResponseSummary, assess, response_summary

__all__ = [
    "Assessment",
    "BidimensionalSize",
    "Exam",
    "ResponseParameters",
    "ResponseSummary",
    "SumOfProducts",
    "assess",
    "bidimensional_product",
    "lesion_sizes",
    "response_summary",
    "sum_of_products",
]
