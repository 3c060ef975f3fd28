"""The durable shell: Temporal workflows that run the engine."""
