"""Millions of pictures (extra `bulk`): from and to folders and buckets, on Ray, with a ledger of what was done."""
