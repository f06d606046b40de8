"""How good is an image-to-image translation? The light core: runs, records, images, labels."""
