"""Linux's maple tree over raw node bytes, on simulated machines."""
