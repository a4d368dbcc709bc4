"""How a tumour grows: in time, in space, and what a forecast or a plan is worth."""

__all__: list[str] = []
