"""Exports to the hubs: what goes where, and what must hold before."""

from hub_export.publish.push.story import Options, run

__all__ = ["Options", "run"]
