"""Real parts for the compat tier: Kubo daemons, our service as a process, clients in their own environments."""
