"""Real faults above the real system: kills, resets, lost answers, and a ledger that must agree at the end."""
