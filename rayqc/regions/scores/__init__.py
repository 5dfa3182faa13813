"""How unlike its class an image is, by one view of it each: its label, or its make."""
