"""Which references fit and which calibrate, and what that promises; one file a promise."""
