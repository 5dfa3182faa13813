"""Pixels in, pixels out: decoding and encoding of single images."""
