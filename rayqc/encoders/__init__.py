"""Encoders: networks that turn images into latents. One file for each kind."""
