"""The steps of a night, each safe to run twice; they know nothing of Prefect and pass ids and paths, never arrays."""
