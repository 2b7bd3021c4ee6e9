"""The cell of ncps, from settings."""

from ncps.keras import CfCCell


def cfc(settings):
    """Return the cell; its state is ``h``, ``(batch, units)``."""
    return CfCCell(
        settings.units,
        mode=settings.mode,
        backbone_units=settings.backbone_units,
        backbone_layers=settings.backbone_layers,
        backbone_dropout=0.0,  # drawn in the cell, it would differ from timestep to timestep
    )
