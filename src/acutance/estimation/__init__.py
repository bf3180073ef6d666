"""What blurred a picture, by region: kind and strength of the blur, and the noise, from the picture alone. No torch."""
