"""The commands, one module a family; each parses its arguments, calls the packages and prints."""
