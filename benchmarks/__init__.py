"""What ``make bench`` runs: ratios of alternatives, measured in turn."""
