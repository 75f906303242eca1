"""The IPLD data model's codecs beside dag-pb."""
