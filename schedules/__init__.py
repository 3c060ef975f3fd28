"""Campaigns as code: what is written becomes Temporal Schedules, shown first and applied after."""
