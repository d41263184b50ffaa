"""Strain maps: from a scan in any file to maps with standard errors, in one call."""

from parscope.workflows.strain.job import map_strain as map_strain
from parscope.workflows.strain.settings import StrainSettings as StrainSettings
