"""What was planned, done and counted: plan, commits, manifest, shards. Pure, no Ray.

A folder of work has these files. A part that no commit record names does not count:

    ledger.json          settings and digests of the work; other work in the folder is refused
    _plan                the units, as Parquet; readers of data skip names that begin with _
    commits/UNIT.json    one for each finished unit, written once: its parts, rows by outcome
    KIND/unit-*.parquet  parts; merged into KIND/train-*.parquet shards at the end
    manifest.json        the files that count, and the totals
    _SUCCESS             written last
"""
