"""What each class's genuine images look like in latent space, fitted and kept on disk."""

from rayqc.regions.base import Regions, Verdicts
from rayqc.regions.sphere import SphereRegions, fit_spheres
from rayqc.regions.store import load_regions, save_regions

__all__ = ["Regions", "SphereRegions", "Verdicts", "fit_spheres", "load_regions", "save_regions"]
