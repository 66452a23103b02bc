"""What editors ask about a recipe, answered from its text alone; `server` carries the answers over the protocol."""
