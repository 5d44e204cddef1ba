"""A simulated machine of one architecture, and the classes that watch it or replace its parts."""
