"""Where decisions go: one file for each way of telling somebody."""
