"""Commands of settings, trust and the data that verl-env ships."""
