"""Which registration engine a name means."""

from __future__ import annotations

from typing import Literal

from regrowth.engines.ants import AntsRegistrar
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.engines.sitk import SitkRegistrar
from regrowth.errors import ParameterError
from regrowth.registration.registrar import Registrar

__all__ = ["EngineName", "registrar"]

EngineName = Literal["greedy", "sitk", "ants"]


def registrar(name: EngineName = "greedy") -> Registrar:
    """Give the engine of a name, with its default settings.

    Parameters
    ----------
    name
        ``greedy`` (default), ``sitk`` or ``ants``.

    Raises
    ------
    EngineNotInstalledError
        Naming the extra to install.
    ParameterError
        If there is no engine of that name.
    """
    engines: dict[str, Registrar] = {"greedy": GreedyRegistrar(), "sitk": SitkRegistrar(), "ants": AntsRegistrar()}
    if name not in engines:
        raise ParameterError(f"there is no registration engine {name!r}; use one of {', '.join(engines)}")
    engine = engines[name]
    _ = engine.version  # refuses here, before any work starts
    return engine
