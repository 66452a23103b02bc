"""Older formats of what `.jessy` holds, brought to today's: the only code that knows them."""
