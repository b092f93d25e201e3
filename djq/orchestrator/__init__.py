"""Many processes: the only place that knows Redis and Celery."""
