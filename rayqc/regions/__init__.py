"""What each class's genuine images look like, fitted and kept on disk."""

from rayqc.regions.base import Candidates, Regions, Verdicts
from rayqc.regions.store import FittedRegions, load_regions, save_regions

__all__ = ["Candidates", "FittedRegions", "Regions", "Verdicts", "load_regions", "save_regions"]
