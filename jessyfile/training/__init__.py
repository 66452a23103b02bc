"""From formatted rows to an adapter: encode, batch, train, keep."""
