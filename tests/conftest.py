"""What every tier shares: no test is judged by how busy the machine is."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

SHARED = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time, so that a failure is of the change at hand; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("steady", SHARED, derandomize=True)
settings.register_profile("explore", SHARED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# A script that runs the tests in the background makes Ctrl-C ignored, for them and for every program they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
