"""Which errors Regrowth raises.

::

    RegrowthError
    ├── InputError                 something the user gave is wrong; the message names it and the remedy
    │   ├── GridMismatchError      two arrays that do not lie on the same grid
    │   ├── LabelSchemeError       a label scheme that is unknown, ambiguous or would lose meaning
    │   ├── ImageFileError         a file that cannot be read as the image it should be
    │   ├── BidsError              a data set, session table or file name that breaks the conventions
    │   └── ParameterError         an option or a value outside of what is allowed
    ├── EngineError                an outside program or heavy library
    │   ├── EngineNotInstalledError   names the extra to install
    │   └── EngineFailedError         carries the end of the engine's log
    └── OutputError                the output folder cannot be written

Every message says what is wrong, in which file, and what to do.
"""

from __future__ import annotations

__all__ = [
    "BidsError",
    "EngineError",
    "EngineFailedError",
    "EngineNotInstalledError",
    "GridMismatchError",
    "ImageFileError",
    "InputError",
    "LabelSchemeError",
    "OutputError",
    "ParameterError",
    "RegrowthError",
]


class RegrowthError(Exception):
    """Base of all errors that Regrowth raises on purpose."""


class InputError(RegrowthError):
    """Something the user gave is wrong."""


class GridMismatchError(InputError):
    """Two arrays that should lie on the same grid do not."""


class LabelSchemeError(InputError):
    """A label scheme is unknown, ambiguous, or a conversion would lose meaning."""


class ImageFileError(InputError):
    """A file cannot be read as the image that it should be."""


class BidsError(InputError):
    """A data set, a session table or a file name breaks the BIDS conventions."""


class ParameterError(InputError):
    """An option or a value is outside of what is allowed."""


class EngineError(RegrowthError):
    """An outside program or heavy library failed."""


class EngineNotInstalledError(EngineError):
    """An engine is not installed; the message names the extra that brings it."""


class EngineFailedError(EngineError):
    """An engine ran and failed; the message carries the end of its log."""


class OutputError(RegrowthError):
    """The output folder cannot be written (read-only, full)."""
