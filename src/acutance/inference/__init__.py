"""Running a model on pictures: engines, exact tiling, and the `Sharpener` that people use."""
