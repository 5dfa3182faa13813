"""What was planned, done and counted: plan, commits, manifest, shards. Pure, no Ray.

A folder of work looks like this; what no commit names does not exist:

    ledger.json          what the work is: settings and digests; another's work is refused
    _plan                the units, as Parquet; so called that no reader takes it for data
    commits/UNIT.json    one a finished unit, published once: its parts, rows by outcome
    KIND/unit-*.parquet  parts; merged into KIND/train-*.parquet shards at the end
    manifest.json        the files that count, and the totals
    _SUCCESS             written last
"""
