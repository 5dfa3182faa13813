"""The public functions: thin over `pipeline`, each with its session, its owner and its checks."""
