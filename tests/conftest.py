"""What every tier shares: no test is judged by how busy the machine is."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("campaigner", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("campaigner")

# A script that runs the tests in the background makes Ctrl-C ignored, for them and for every program they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
