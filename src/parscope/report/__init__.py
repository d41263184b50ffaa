"""Figures and pages of results: matplotlib and HTML, drawn from labelled data sets alone."""
