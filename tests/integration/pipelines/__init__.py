"""Small pipelines that tests and the workers they start both import."""
