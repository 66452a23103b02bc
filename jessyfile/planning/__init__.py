"""From a recipe and what was done before to a plan, and from a plan to results: steps, fingerprints, store, state."""
