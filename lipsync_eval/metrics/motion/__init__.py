"""Motion of faces: landmark errors, blinks, action units, expression, timing. Pure functions, and the families over them."""
