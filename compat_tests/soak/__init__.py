"""Storms of operations on a service that is killed meanwhile, judged by a model of what it has promised.

The same storm runs over real Kubo nodes (`test_soak.py`, compat tier) and over stubs that speak Kubo's RPC API and
outlive the service (`test_soak_long.py`, long tier).
"""
