"""Planted faults and harmless variations for `jessy verify`, by hands that had not read it."""
