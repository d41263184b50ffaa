"""Networks for separable spectra: they tell what is searched, with its covariance; factors follow in closed form."""
