"""Exports: judged images in the layouts that training scripts read. One file for each layout."""
