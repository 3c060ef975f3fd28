"""What every tier shares: no test is judged by how busy the machine is."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("campaigner", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("campaigner")
