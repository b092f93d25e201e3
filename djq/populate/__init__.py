"""What is due and how one key commits, in one process; no Redis, no Celery."""
