"""Pixels to pixels: geometry, augmentation, corruptions, and photos to 28x28."""
