"""Spectra of any declared technique, fitted to maps with standard errors, in one call."""

from parscope.workflows.fit.job import map_spectra as map_spectra
