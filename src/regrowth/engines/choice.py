"""Which engine a name means, for registration and for the regions of the brain."""

from __future__ import annotations

from typing import Literal

from regrowth.anatomy import AnatomyParameters, Parcellator, TemplateParcellator
from regrowth.engines.ants import AntsRegistrar
from regrowth.engines.elastix import ElastixRegistrar
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.engines.sitk import SitkRegistrar
from regrowth.engines.synthseg import SynthSegParcellator
from regrowth.errors import EngineNotInstalledError, ParameterError
from regrowth.registration.registrar import Registrar

__all__ = ["EngineName", "ParcellationSource", "parcellation_source", "parcellator", "registrar"]

EngineName = Literal["greedy", "sitk", "ants", "elastix"]
ParcellationSource = Literal["labelmap", "synthseg", "template"]


def registrar(name: EngineName = "greedy") -> Registrar:
    """Give the engine of a name, with its default settings.

    Parameters
    ----------
    name
        ``greedy`` (default), ``sitk``, ``ants`` or ``elastix``.

    Raises
    ------
    EngineNotInstalledError
        Naming the extra to install.
    ParameterError
        If there is no engine of that name.
    """
    engines: dict[str, Registrar] = {
        "greedy": GreedyRegistrar(),
        "sitk": SitkRegistrar(),
        "ants": AntsRegistrar(),
        "elastix": ElastixRegistrar(),
    }
    if name not in engines:
        raise ParameterError(f"there is no registration engine {name!r}; use one of {', '.join(engines)}")
    engine = engines[name]
    _ = engine.version  # refuses here, before any work starts
    return engine


def parcellation_source(asked: str, *, given: bool) -> ParcellationSource:
    """Decide where the regions of a brain come from.

    Parameters
    ----------
    asked
        ``labelmap``, ``synthseg``, ``template``, or ``auto`` for the first of them that there is.
    given
        Whether the user brought a map of labels.
    """
    if asked == "labelmap" or (asked == "auto" and given):
        return "labelmap"
    if asked == "auto":
        try:
            _ = SynthSegParcellator().version
        except EngineNotInstalledError:
            return "template"
    return "template" if asked == "template" else "synthseg"


def parcellator(name: ParcellationSource, parameters: AnatomyParameters, engine: Registrar | None = None) -> Parcellator:
    """Give the source of region maps of a name, other than a map that the user brought.

    Parameters
    ----------
    name
        ``synthseg`` or ``template``.
    parameters
        Its settings.
    engine
        Registration engine that brings the template to the brain.

    Raises
    ------
    EngineNotInstalledError
        If SynthSeg is asked for and not installed.
    ParameterError
        If there is no source of that name.
    """
    if name == "synthseg":
        source = SynthSegParcellator(parameters)
        _ = source.version  # refuses here, before any work starts
        return source
    if name == "template":
        return TemplateParcellator(engine or registrar(), parameters)
    raise ParameterError(f"there is no parcellator {name!r}; use synthseg or template, or bring a map of labels")
