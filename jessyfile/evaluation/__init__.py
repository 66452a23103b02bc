"""Ask every suite, hold the answers against checks, and the checks against the criteria."""
