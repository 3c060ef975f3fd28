"""The domain, pure Python: definition, plan, engine."""
