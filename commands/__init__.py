"""What the command line does, command by command; :mod:`cli` only parses."""
