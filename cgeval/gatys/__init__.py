"""The Gatys baseline: content images and styles go in; a run of stylised images comes out, like any other run."""
