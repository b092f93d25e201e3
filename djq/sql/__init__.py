"""The only place that knows a SQL library or driver."""
