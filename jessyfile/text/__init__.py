"""What many packages need of text and none owns: Turkish letters, JSON lines, printing without control characters."""
