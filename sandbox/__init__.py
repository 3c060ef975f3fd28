"""A panel to practise on: real HTTP, a real ledger, and every way a panel can go wrong."""
