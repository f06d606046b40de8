"""A folder or a split goes in; a run of stylised images comes out, image by image and going on where it was."""
